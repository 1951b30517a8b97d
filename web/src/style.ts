// Parameters of SGR in a form that xterm.js and the worker's terminal understand alike. What is
// wrong or not supported is left out, as src/terminal/sgr.rs does.

/** Parameters as xterm.js passes them to its own handlers. */
export interface Parameters {
  readonly length: number;
  readonly params: ArrayLike<number>;
  hasSubParams(at: number): boolean;
  getSubParams(at: number): ArrayLike<number> | null;
}

/** A parameter, or a sub-parameter; an empty sub-parameter is -1. */
interface Parameter {
  value: number;
  sub: boolean;
}

const COLOURS = [38, 48, 58];
const COLOUR_MAX = 255;
const UNDERLINE = 4;

/** xterm.js does not blink rapidly, and ignores it. */
const [BLINK, RAPID_BLINK] = [5, 6];

/** The largest number of a kind of underline. */
const UNDERLINES = 5;

/** The colour of the underline is that of the text again: in xterm.js it would be white. */
const LINE_DEFAULT = 59;

/** The parameters in parts; between two of them, the colour of the underline is reset. */
export function style(parameters: Parameters): Parameters[] {
  const { length, params } = parameters;
  // Nearly all are right as they are, and a picture has thousands of them.
  for (let at = 0; at < length; at += 1) {
    const value = params[at] ?? 0;
    if (value === RAPID_BLINK || value === LINE_DEFAULT || parameters.hasSubParams(at)) return plain(parameters);
    if (value !== 38 && value !== 48 && value !== 58) continue;
    const values = valuesOf(params[at + 1]);
    if (values === 0 || at + 1 + values >= length) return plain(parameters);
    for (const end = at + 1 + values; at < end; at += 1) {
      if (Number(params[at + 1]) > COLOUR_MAX || parameters.hasSubParams(at + 1)) return plain(parameters);
    }
  }
  return [parameters];
}

/** The number of values of a colour of this kind, or 0. */
function valuesOf(kind: number | undefined): number {
  return kind === 5 ? 1 : kind === 2 ? 3 : 0;
}

function plain(parameters: Parameters): Parameters[] {
  const all = flat(parameters);
  const parts: Parameters[] = [];
  let params: number[] = [];
  let underlines = new Map<number, number>();
  const end = () => {
    parts.push(made(params, underlines));
    [params, underlines] = [[], new Map()];
  };
  let at = 0;
  const subs = () => {
    const begin = at;
    while (all[at]?.sub) at += 1;
    return all.slice(begin, at).map(({ value }) => value);
  };
  while (at < all.length) {
    const { value } = all[at] ?? { value: 0 };
    at += 1;
    const own = subs();
    if (value === UNDERLINE && own.length > 0) {
      const kind = own[0] ?? -1;
      underlines.set(params.length, kind < 0 || kind > UNDERLINES ? 1 : kind);
      params.push(value);
    } else if (value === LINE_DEFAULT) {
      end();
    } else if (!COLOURS.includes(value)) {
      params.push(value === RAPID_BLINK ? BLINK : value);
    } else if (own.length > 0) {
      params.push(...colour(value, own[0], own.slice(own.length > 4 ? 2 : 1)));
    } else if (at < all.length) {
      const kind = all[at]?.value;
      at += 1;
      const values = subs();
      if (values.length > 3) values.shift();
      if (values.length === 0) {
        const length = valuesOf(kind);
        values.push(...all.slice(at, at + length).map((parameter) => parameter.value));
        at = Math.min(at + length, all.length);
        // What is left of a value with more sub-parameters.
        subs();
      }
      params.push(...colour(value, kind, values));
    }
  }
  end();
  return parts;
}

function made(params: number[], underlines: Map<number, number>): Parameters {
  return {
    length: params.length,
    params,
    hasSubParams: (place) => underlines.has(place),
    getSubParams: (place) => [underlines.get(place) ?? 1],
  };
}

/** The parameters that set a colour, or none if it is wrong. */
function colour(what: number, kind: number | undefined, values: number[]): number[] {
  const length = valuesOf(kind);
  // An empty value counts as 0.
  const parts = values.slice(0, length).map((value) => Math.max(value, 0));
  const isRight = length > 0 && parts.length === length && parts.every((part) => part <= COLOUR_MAX);
  return isRight && kind !== undefined ? [what, kind, ...parts] : [];
}

function flat(parameters: Parameters): Parameter[] {
  const all: Parameter[] = [];
  for (let at = 0; at < parameters.length; at += 1) {
    all.push({ value: parameters.params[at] ?? 0, sub: false });
    if (parameters.hasSubParams(at)) all.push(...Array.from(parameters.getSubParams(at) ?? [], (value) => ({ value, sub: true })));
  }
  return all;
}
