// Made from src/protocol/page.rs by its test. Do not edit: run `web/types`.

export type Refusal = "unknown-passkey" | "challenge-expired" | "link-invalid" | "passkey-registered" | "not-granted" | "machine-unavailable" | "machine-without-bus" | "machined-unavailable" | "shell-timed-out" | "shell-refused" | "worker-unavailable" | "no-such-session" | "not-shareable" | "yourself" | "too-many" | "busy" | "bad-message" | "unavailable" | "version-mismatch" | "not-operator" | "account-exists" | "account-unusable" | "no-such-account" | "not-revoked" | "storage-failed" | "may-not-last" | "passkeys-full";

export type EndReason = "shell-ended" | "never-started" | "machine-gone" | "ended-by-request" | "worker-gone" | "view-closed" | "view-lost";

export type ShellExit = { "exited": number } | { "killed": Signal };

export type Signal = "HUP" | "ILL" | "TRAP" | "ABRT" | "BUS" | "FPE" | "KILL" | "SEGV" | "XCPU" | "XFSZ" | "SYS";

export type Ceremony = "create" | "get";

export type Extent = "whole" | "screen" | "recent";

export type Role = "owner" | "writer" | "watcher";

export type GuestRole = "writer" | "watcher";

export type Person = { 
/**
 * Who.
 */
account: AccountName, 
/**
 * What they may do.
 */
role: Role, 
/**
 * How many views they have right now.
 */
views: number, };

export type Target = { 
/**
 * Where the shell runs.
 */
machine: MachineName, 
/**
 * Whom it runs as there.
 */
user: UnixUser, };

export type TermSize = { cols: number, rows: number, };

export type Theme = { 
/**
 * Of the text.
 */
foreground: Color, 
/**
 * Behind the text.
 */
background: Color, 
/**
 * Of the cursor.
 */
cursor: Color, 
/**
 * The first sixteen of the palette: the eight named colours, then the bright ones.
 */
palette: [Color, Color, Color, Color, Color, Color, Color, Color, Color, Color, Color, Color, Color, Color, Color, Color], };

export type About = { 
/**
 * The title that a program gave the terminal.
 */
title: Label | null, 
/**
 * The size of the terminal.
 */
size: TermSize, 
/**
 * How long nothing was printed or typed, seconds.
 */
idle: number, 
/**
 * How many viewers it has.
 */
viewers: number, };

export type SessionSummary = { 
/**
 * Its id.
 */
id: SessionId, 
/**
 * Where its shell runs.
 */
target: Target, 
/**
 * When it was opened, seconds since 1970.
 */
opened: number, 
/**
 * Who opened it.
 */
owner: AccountName, 
/**
 * What whoever asks may do in it. The operator only looks.
 */
role: Role, 
/**
 * What its owner calls it.
 */
name: Label | null, 
/**
 * Accounts that view it now, at most [`VIEWING_MAX`] of them.
 */
viewing: Array<AccountName>, 
/**
 * What its worker says; nothing where it did not answer in time.
 */
about: About | null, };

export type FromPage = { "type": "sign-in", } | { "type": "enrol", 
/**
 * The part of the link after `#enrol=`.
 */
token: string, } | { "type": "answer", 
/**
 * The credential.
 */
credential: JsonValue, } | { "type": "list", } | { "type": "open", 
/**
 * Chosen by the page.
 */
stream: number, 
/**
 * Where.
 */
target: Target, 
/**
 * The size of the page's terminal.
 */
size: TermSize, } | { "type": "attach", 
/**
 * Chosen by the page.
 */
stream: number, 
/**
 * Which.
 */
session: SessionId, 
/**
 * The size of the page's terminal.
 */
size: TermSize, } | { "type": "resize", 
/**
 * Which stream.
 */
stream: number, 
/**
 * The new size.
 */
size: TermSize, } | { "type": "shown", 
/**
 * Which stream.
 */
stream: number, 
/**
 * How many.
 */
bytes: number, } | { "type": "refresh", 
/**
 * Which stream.
 */
stream: number, } | { "type": "reset-terminal", 
/**
 * Which stream.
 */
stream: number, } | { "type": "theme", 
/**
 * Which stream.
 */
stream: number, 
/**
 * The colours.
 */
theme: Theme, } | { "type": "end", 
/**
 * Which stream.
 */
stream: number, } | { "type": "close", 
/**
 * Which stream.
 */
stream: number, } | { "type": "name", 
/**
 * Which.
 */
session: SessionId, 
/**
 * What it is called from now on.
 */
name: Label | null, } | { "type": "share", 
/**
 * Which.
 */
session: SessionId, 
/**
 * With whom.
 */
account: AccountName, 
/**
 * Writer or watcher; nothing for no more.
 */
role: GuestRole | null, } | { "type": "end-session", 
/**
 * Which.
 */
session: SessionId, } | { "type": "ping", };

export type ToPage = { "type": "challenge", 
/**
 * Which ceremony.
 */
ceremony: Ceremony, 
/**
 * `PublicKeyCredentialCreationOptionsJSON` or `PublicKeyCredentialRequestOptionsJSON`.
 */
options: JsonValue, } | { "type": "signed-in", 
/**
 * Whose.
 */
account: AccountName, } | { "type": "lobby", 
/**
 * Granted targets, in the order of the policy.
 */
targets: Array<Target>, 
/**
 * Live sessions, oldest first.
 */
sessions: Array<SessionSummary>, } | { "type": "opened", 
/**
 * The stream of the request.
 */
stream: number, 
/**
 * The session viewed.
 */
session: SessionId, 
/**
 * Where it runs.
 */
target: Target, } | { "type": "snapshot", 
/**
 * Which stream.
 */
stream: number, 
/**
 * The size of the terminal.
 */
size: TermSize, 
/**
 * Length of the snapshot.
 */
bytes: number, 
/**
 * What it shows.
 */
extent: Extent, } | { "type": "size", 
/**
 * Which stream.
 */
stream: number, 
/**
 * The size.
 */
size: TermSize, } | { "type": "input-dropped", 
/**
 * Which stream.
 */
stream: number, 
/**
 * How many bytes.
 */
bytes: number, } | { "type": "end", 
/**
 * Which stream.
 */
stream: number, } | { "type": "closed", 
/**
 * Which stream.
 */
stream: number, 
/**
 * Why.
 */
reason: EndReason, 
/**
 * How the shell ended, where its machine reported it.
 */
exit: ShellExit | null, } | { "type": "sharing", 
/**
 * Of which.
 */
session: SessionId, 
/**
 * The owner first.
 */
people: Array<Person>, 
/**
 * What this account may do.
 */
role: Role, 
/**
 * Whether the owner may share it, by the policy.
 */
shareable: boolean, } | { "type": "machine-stopped", 
/**
 * Which.
 */
machine: MachineName, } | { "type": "refused", 
/**
 * The stream of the request, if it had one.
 */
stream: number | null, 
/**
 * Why.
 */
refusal: Refusal, } | { "type": "pong", 
/**
 * The front's clock, milliseconds since this connection began.
 */
at: number, };

export type AccountName = string;

export type Label = string;

export type SessionId = string;

export type MachineName = string;

export type UnixUser = string;

export type Color = string;

export type JsonValue = unknown;
