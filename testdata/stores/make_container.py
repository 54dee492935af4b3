"""Makes a container: make_container.py <account URL> <account> <key> <container>. Waits for the service to be up."""

import base64
import email.utils
import hashlib
import hmac
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

url, account, key, container = sys.argv[1:]
version, date = "2021-08-06", email.utils.formatdate(usegmt=True)
path = urllib.parse.urlparse(url).path + "/" + container
# Method, eleven standard headers that are all empty (a length of 0 is, too), the x-ms headers, the resource and its parameters.
signed = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n/{account}{path}\nrestype:container"
signature = base64.b64encode(hmac.digest(base64.b64decode(key), signed.encode(), hashlib.sha256)).decode()
headers = {
    "x-ms-date": date,
    "x-ms-version": version,
    "Authorization": f"SharedKey {account}:{signature}",
    "Content-Length": "0",
}
request = urllib.request.Request(f"{url}/{container}?restype=container", method="PUT", headers=headers, data=None)
for attempt in range(100):
    try:
        urllib.request.urlopen(request, timeout=10).close()
        break
    except urllib.error.HTTPError as error:
        sys.exit(f"{error}: {error.read().decode()}")
    except OSError:
        time.sleep(0.2)
else:
    sys.exit(f"no answer from {url}")
