"""Drives the page in a real Chromium, as somebody would who has a keyboard and a mouse. Fails on whatever is not as it should be,
on errors of the console, and on requests to anybody else. The data are those of .ci/judge-ui.sh."""

import argparse
import json
import re
import shutil
import urllib.parse
import urllib.request

from playwright.sync_api import expect, sync_playwright

arguments = argparse.ArgumentParser()
arguments.add_argument("url")
arguments.add_argument("--screenshots", help="directory for screenshots")
arguments = arguments.parse_args()
URL = arguments.url
passed = 0


def check(what, condition, found=""):
    global passed
    assert condition, f"{what}: {found}"
    passed += 1


def api(path, **parameters):
    with urllib.request.urlopen(f"{URL}api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
        return json.load(answer)


def screenshot(page, name):
    if arguments.screenshots:
        page.screenshot(path=f"{arguments.screenshots}/{name}.png")


def write(page, query):
    page.locator("#query").fill("")
    page.locator("#query").press_sequentially(query)


def run(page, query):
    page.locator("#query").fill(query)
    # Completions would lie over the button.
    page.locator("#query").press("Escape")
    page.locator("#run").click()
    expect(page.locator("#status")).not_to_have_text("Running …")


def tables(page):
    run(page, "sum by (code) (requests_total)")
    rows = page.locator("#result tbody tr")
    expect(rows).to_have_count(2)
    end = api("status/blocks")["data"]["maxTime"] / 1000
    expected = {series["metric"]["code"]: series["value"][1] for series in api("query", query="sum by (code) (requests_total)", time=end)["data"]["result"]}
    shown = dict(re.match(r'\{code="(\d+)"\}\t(.*)', row).groups() for row in rows.all_inner_texts())
    check("values are the API's", shown == expected, shown)
    expect(page.locator("#status")).to_contain_text("2 series at 2025-01-01 07:59:45")
    # Labels are text, never markup.
    run(page, "temperature")
    expect(rows).to_have_count(1)
    check("labels are text", '"<b>näh</b>, \\"quoted\\""' in rows.first.inner_text(), rows.first.inner_text())
    check("nothing of them is markup", page.locator("#result b").count() == 0)
    run(page, "1 + 1")
    expect(rows.first.locator("td").first).to_have_text("2")
    run(page, "nothing")
    expect(page.locator("#result")).to_have_text("No series.")


def graphs(page):
    page.locator("[value=range]").check()
    page.locator("#range").fill("2h")
    page.locator("#step").fill("1m")
    run(page, "sum by (path) (rate(requests_total[5m]))")
    expect(page.locator("#view-graph")).to_have_attribute("aria-selected", "true")
    lines, legend = page.locator(".lines path"), page.locator(".legend button")
    expect(lines).to_have_count(3)
    check("the legend names the series", legend.all_inner_texts() == [f'{{path="/p{i}"}}' for i in range(3)], legend.all_inner_texts())
    points = [len(re.findall("[ML]", line.get_attribute("d"))) for line in lines.all()]
    series = api("query_range", query="sum by (path) (rate(requests_total[5m]))", start=1735718385 - 7200, end=1735718385, step=60)["data"]["result"]
    check("a point for each sample", points == [len(one["values"]) for one in series], points)
    check("axes have numbers", page.locator(".grid text").count() > 8)

    # The tooltip, by pointer and by keys.
    box = page.locator(".plot").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".tooltip")).to_contain_text('{path="/p1"}')
    page.locator(".plot").focus()
    page.keyboard.press("Home")
    first = page.locator(".tooltip").inner_text()
    page.keyboard.press("ArrowRight")
    check("arrows move the tooltip", page.locator(".tooltip").inner_text() != first, first)
    # A series can be hidden and shown again.
    legend.nth(1).click()
    expect(lines).to_have_count(2)
    expect(legend.nth(1)).to_have_attribute("aria-pressed", "false")
    legend.nth(1).press("Enter")
    expect(lines).to_have_count(3)
    # Dragging zooms; back in the history goes back.
    before = page.locator("#status").inner_text()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 100, steps=5)
    page.mouse.up()
    expect(page.locator("#status")).not_to_have_text(before)
    expect(page.locator("#range")).not_to_have_value("2h")
    expect(lines).to_have_count(3)
    page.go_back()
    expect(page.locator("#range")).to_have_value("2h")
    expect(lines).to_have_count(3)
    # An address brings all of it back.
    page.reload()
    expect(lines).to_have_count(3)
    expect(page.locator("#query")).to_have_value("sum by (path) (rate(requests_total[5m]))")
    page.locator("#earlier").click()
    expect(page.locator("#end")).to_have_value("2025-01-01 06:59:45")
    page.locator("#end").fill("")
    page.locator("#longer").click()
    expect(page.locator("#range")).to_have_value("4h")
    expect(lines).to_have_count(3)


def pictures(page):
    """The picture of the README."""
    page.locator("#range").fill("110m")
    run(page, 'label_replace(sum(temperature), "is", "now", "", "") or\n  label_replace(sum(avg_over_time(temperature[30m])), "is", "over 30m", "", "")')
    expect(page.locator(".lines path")).to_have_count(2)
    box = page.locator(".plot").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] / 3)
    expect(page.locator(".tooltip b")).to_have_count(2)
    screenshot(page, "graph")


def plans(page):
    run(page, "sum by (path) (rate(requests_total[5m]))")
    page.locator("#view-plan").click()
    rows = page.locator(".plan tbody tr")
    expect(rows.first).to_contain_text("sum of groups")
    expect(page.locator(".plan ol li")).to_have_count(1)
    expect(rows.nth(1)).to_contain_text("rate(requests_total[5m])")
    screenshot(page, "plan")
    # The views are tabs, for keys too.
    page.locator("#view-plan").press("ArrowRight")
    expect(page.locator("#view-table")).to_be_focused()
    expect(page.locator("#result tbody tr")).to_have_count(3)


def messages(page):
    run(page, "sum by (code) (requests_total) + rat(x[5m])")
    error = page.locator(".message.error")
    expect(error).to_contain_text("unknown function with name")
    expect(error.locator("mark")).to_have_text("rat")
    check("an error leaves no result", page.locator("#result").inner_text() == "")
    run(page, 'temperature{place="ä"} +\n# ä\n  sum(')
    expect(error).to_contain_text("parse error")
    page.locator("[value=instant]").check()
    run(page, "rate(temperature[5m])")
    expect(page.locator(".message.info")).to_contain_text("metric might not be a counter")
    expect(page.locator(".message.info mark")).to_have_text("temperature")
    expect(error).to_have_count(0)
    run(page, "histogram_quantile(7, requests_total)")
    expect(page.locator(".message.warning").first).to_be_visible()
    page.locator("#end").fill("yesterday")
    run(page, "1")
    expect(error).to_contain_text('"yesterday" is no time')
    page.locator("#end").fill("1735689600")
    run(page, "time()")
    expect(page.locator("#result tbody td").first).to_have_text("1735689600")
    page.locator("#end").fill("")


def completion(page):
    options = page.locator("#completions [role=option]")
    chosen = page.locator("#completions [aria-selected=true]")
    write(page, "requ")
    expect(options.first).to_contain_text("requests_total")
    page.keyboard.press("Enter")
    expect(page.locator("#query")).to_have_value("requests_total")
    page.keyboard.type("{co")
    expect(chosen).to_contain_text("code")
    page.keyboard.press("Tab")
    page.keyboard.type('="')
    expect(options).to_have_count(2)
    page.keyboard.press("ArrowDown")
    expect(chosen).to_contain_text("300")
    screenshot(page, "completion")
    page.keyboard.press("Enter")
    page.keyboard.type('"}')
    expect(page.locator("#query")).to_have_value('requests_total{code="300"}')
    expect(options.first).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#result tbody tr")).to_have_count(3)
    write(page, "hist")
    expect(options.filter(has_text="histogram_quantile").first).to_contain_text("(scalar, vector) → vector")
    page.keyboard.press("Escape")
    expect(options.first).to_be_hidden()
    write(page, "sum(requests_total) by (pa")
    expect(chosen).to_contain_text("path")
    # Escapes what is taken.
    write(page, 'temperature{place="')
    expect(options).to_have_count(1)
    page.keyboard.press("Enter")
    page.keyboard.type('"}')
    expect(page.locator("#query")).to_have_value('temperature{place="<b>näh</b>, \\"quoted\\""}')
    page.keyboard.press("Enter")
    expect(page.locator("#result tbody tr")).to_have_count(1)
    # Slow typing of what is complete, then Enter: it runs.
    write(page, "temperature")
    page.wait_for_timeout(300)
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("1 series")


def blocks(page):
    page.locator("#page-blocks").click()
    expect(page.locator("#blocks-page tbody tr")).to_have_count(3)
    shown = page.locator("#blocks-page tbody").inner_text()
    known = api("status/blocks")["data"]
    for block in known["blocks"]:
        check("the table has each block", block["name"] in shown, shown)
    check("states", sorted(block["state"] for block in known["blocks"]) == ["queried", "queried", "unmarked"], known)
    expect(page.locator("rect.queried")).to_have_count(2)
    expect(page.locator("rect.missing")).to_have_count(1)
    boxes = sorted([page.locator("rect.queried").nth(i).bounding_box() for i in range(2)], key=lambda box: box["x"])
    gap = page.locator("rect.missing").bounding_box()
    check("the gap lies between", boxes[0]["x"] < gap["x"] < boxes[1]["x"] and gap["width"] > boxes[0]["width"] * 1.5, (boxes, gap))
    expect(page.locator(".states")).to_contain_text("1 unmarked")
    screenshot(page, "blocks")
    page.locator("#page-blocks").press("ArrowLeft")
    expect(page.locator("#query-page")).to_be_visible()
    expect(page.locator("#blocks-page")).to_be_hidden()


MARKUP = "<img src=x onerror=alert(1)>"


def made_up(page):
    """Answers that these data do not give, and names as somebody might write them who means harm."""
    at = 1735689600
    answers = {
        "status/blocks": {"ready": True, "minTime": 0, "maxTime": 9e6, "openShards": 1, "footerBytes": 1, "gaps": [], "blocks": [
            {"name": f"block {i}", "state": state, "error": MARKUP, "minTime": first, "maxTime": last, "shards": 1, "series": 1, "bytes": 2048,
             "labels": {"replica": replica, MARKUP: MARKUP}}
            for i, (state, first, last, replica) in enumerate([
                ("queried", 0, 3e6, "a"), ("queried", 1e6, 9e6, "a"), ("failed", 0, 9e6, "b"), ("deleted", 0, 9e6, "b"), ("queried", None, None, "b")])]},
        "query": {"resultType": "vector", "result": [
            {"metric": {"__name__": "http.requests", "größe": MARKUP}, "histogram": [at, {"count": "6", "sum": "20", "buckets": [[3, "-0.001", "0.001", "2"], [0, "1", "2", "4"]]}]},
            {"metric": {}, "value": [at, "NaN"]}]},
        "query_range": {"resultType": "matrix", "result": [
            {"metric": {"of": "infinities"}, "values": [[at, "+Inf"], [at + 60, "-Inf"], [at + 120, "NaN"], [at + 180, "1e308"]]},
            {"metric": {"of": "histograms"}, "histograms": [[at, {"count": "1", "sum": "1"}]]}]},
    }

    def answer(route):
        name = route.request.url.split("/api/v1/")[1].split("?")[0]
        data = answers.get(name)
        warnings = [f"{MARKUP} (1:1)", "9:9: beyond the query"]
        route.fulfill(json={"status": "success", "data": data, "warnings": warnings}) if data else route.continue_()

    page.route("**/api/v1/**", answer)
    page.locator("[value=instant]").check()
    run(page, "x")
    rows = page.locator("#result > div > .scroll > table > tbody > tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text('{"http.requests", "größe"="<img src=x onerror=alert(1)>"}')
    rows.first.locator("summary").click()
    expect(rows.first.locator("meter")).to_have_count(2)
    expect(rows.first).to_contain_text("[-0.001, 0.001]")
    expect(page.locator(".message.warning")).to_have_count(2)
    expect(page.locator(".message.warning mark")).to_have_text(["x"])
    page.locator("#view-plan").click()
    expect(page.locator("#result")).to_have_text("The answer has no plan.")
    page.locator("#end").fill(str(at + 200))
    page.locator("[value=range]").check()
    expect(page.locator(".lines path")).to_have_count(1)
    expect(page.locator(".chart .note")).to_contain_text("native histograms are not drawn")
    check("infinities leave the picture whole", "NaN" not in page.locator(".plot").inner_html() and "Infinity" not in page.locator(".plot").inner_html())
    page.locator("#view-table").click()
    expect(rows.first).to_contain_text("1e308")

    page.locator("#page-blocks").click()
    expect(page.locator("#blocks-page tbody tr")).to_have_count(5)
    expect(page.locator("#blocks-page tbody tr").first).to_contain_text(f"failed\n{MARKUP}", use_inner_text=True)
    tops = sorted({page.locator("rect.state").nth(i).get_attribute("y") for i in range(4)})
    check("blocks that overlap, and those of other labels, lie below each other", len(tops) == 4, tops)
    check("no text becomes an element", page.locator("img").count() == 0)
    page.unroute("**/api/v1/**")
    page.route("**/api/v1/**", lambda route: route.abort())
    page.locator("#blocks-page button").click()
    expect(page.locator("#blocks-page .error")).to_contain_text("the server does not answer")
    page.unroute("**/api/v1/**")
    page.locator("#page-query").click()


def units(page):
    """What the scripts work out by themselves."""

    def call(module, function, *args):
        return page.evaluate(f"([args]) => import('/ui/{module}.js').then((m) => m.{function}(...args))", [list(args)])

    for module, function, args, expected in [
        ("api", "labelPath", ["job"], "job"),
        ("api", "labelPath", ["http.status_code"], "U__http_2e_status__code"),
        ("api", "labelPath", ["größe"], "U__gr_f6__df_e"),
        ("dom", "parseDuration", ["1h30m"], 5400000),
        ("dom", "parseDuration", ["90"], 90000),
        ("dom", "durationText", [5400000], "1h30m"),
        ("dom", "parseTime", ["2025-01-01 00:00:00"], 1735689600000),
        ("dom", "parseTime", ["2025-01-01"], 1735689600000),
        ("dom", "parseTime", ["2025-01-01T01:00:00+01:00"], 1735689600000),
        ("dom", "parseTime", ["1735689600.5"], 1735689600500),
        ("dom", "timeText", [1735689600000], "2025-01-01 00:00:00"),
        ("dom", "labelsText", [{"__name__": "up", "a b": "\n"}], 'up{"a b"="\\n"}'),
        ("chart", "ticks", [0, 1, 5], [0, 0.2, 0.4, 0.6000000000000001, 0.8, 1]),
        ("chart", "ticks", [1, 1, 5], [1]),
        ("chart", "numberText", [1234567], "1.235M"),
        ("completion", "context", ["sum(ra"], {"kind": "name", "from": 4}),
        ("completion", "context", ["up{jo"], {"kind": "label", "from": 3, "metric": "up"}),
        ("completion", "context", ['up{job="a", x=~\'b'], {"kind": "value", "from": 16, "quote": "'", "label": "x", "metric": "up"}),
        ("completion", "context", ['{"http.x", "a.b"="'], {"kind": "value", "from": 18, "quote": '"', "label": "a.b", "metric": ""}),
        ("completion", "context", ["sum without (in"], {"kind": "label", "from": 13, "metric": ""}),
        ("completion", "context", ["rate(up[5m"], {"kind": "none"}),
        ("completion", "context", ["up # by (x"], {"kind": "none"}),
        ("completion", "context", ["'" * 3 + "\\"], {"kind": "none"}),
        ("results", "place", ["1:4: parse error", "äx"], {"before": "äx", "token": "", "after": ""}),
        ("results", "place", ["bad (2:1)", "a\nbc d"], {"before": "a\n", "token": "bc", "after": " d"}),
        ("results", "place", ["no place", "x"], None),
    ]:
        found = call(module, function, *args)
        check(f"{function}({args})", found == expected, found)


def luminance(colour):
    channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear))


def readable(page):
    """Text stands out from what is behind it, in both modes."""
    run(page, "sum(")
    for mode in ("light", "dark"):
        page.emulate_media(color_scheme=mode)
        style = lambda selector, name: page.locator(selector).first.evaluate(f"e => getComputedStyle(e).{name}")
        back = luminance(style("body", "backgroundColor"))
        check(f"{mode} is {mode}", (back > 0.5) == (mode == "light"), back)
        for selector in ("body", ".error b", "textarea"):
            text = luminance(style(selector, "color"))
            contrast = (max(text, back) + 0.05) / (min(text, back) + 0.05)
            check(f"contrast of {selector} in {mode} mode", contrast > 4.5, contrast)
        screenshot(page, f"error-{mode}")


def main():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport={"width": 1100, "height": 760})
        page = context.new_page()
        page.set_default_timeout(15000)
        expect.set_options(timeout=15000)
        complaints, foreign, refused = [], [], []
        page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(URL) else foreign.append(request.url))
        page.on("response", lambda response: refused.append(response.url) if response.status >= 400 else None)
        page.goto(URL)
        expect(page.locator("#query")).to_be_focused()
        for part in (tables, graphs, pictures, plans, messages, completion, blocks, made_up, units, readable):
            part(page)
            print(f"PASS {part.__name__}", flush=True)
        # The browser itself reports answers to wrong queries, and requests that were cut off, which are meant here.
        unexpected = [text for text in complaints if "status of 400" not in text and "ERR_FAILED" not in text]
        check("the console is quiet", not unexpected, unexpected)
        check("nobody else is asked", not foreign, foreign)
        check("only wrong queries are refused", all("/api/v1/query" in url for url in refused), refused)

        # The policy that is sent forbids what an intruder would try.
        blocked = page.evaluate("""async () => {
          const tried = [];
          document.addEventListener('securitypolicyviolation', (event) => tried.push(event.effectiveDirective));
          const script = document.createElement('script');
          script.textContent = 'window.intruded = true';
          document.head.append(script);
          await fetch('http://127.0.0.2:1/').catch(() => {});
          await new Promise((done) => setTimeout(done, 200));
          return [window.intruded === undefined, tried];
        }""")
        check("scripts within the page and requests to others are blocked", blocked[0] and {"script-src-elem", "connect-src"} <= set(blocked[1]), blocked)
        browser.close()
    print(f"DONE the page in Chromium {browser.version}: {passed} checks besides those that wait")


main()
