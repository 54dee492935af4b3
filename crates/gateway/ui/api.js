// Prometheus' HTTP API, at this server.

export class ApiError extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

// The whole envelope of a successful answer.
export async function call(path, parameters = {}, { signal, post } = {}) {
  const body = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) if (one !== undefined && one !== '') body.append(name, one);
  }
  let response;
  try {
    response = post
      ? await fetch(`api/v1/${path}`, { method: 'POST', body, signal })
      : await fetch(`api/v1/${path}?${body}`, { signal });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('network', 'the server does not answer');
  }
  const text = await response.text().catch((error) => {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('network', 'the answer ends early');
  });
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new ApiError('network', `${response.status} ${response.statusText}: ${text.slice(0, 500)}`);
  }
  if (answer.status !== 'success') throw new ApiError(answer.errorType, answer.error);
  return answer;
}

// Names in paths, as Prometheus wants those that are no identifiers.
export function labelPath(name) {
  if (/^[a-zA-Z_]\w*$/.test(name) && !name.startsWith('U__')) return name;
  const escape = (c) => (/[a-zA-Z0-9]/.test(c) ? c : c === '_' ? '__' : `_${c.codePointAt(0).toString(16)}_`);
  return `U__${[...name].map(escape).join('')}`;
}
