// Made from src/protocol/page.rs by its test. Do not edit: run `web/types`.

export type Refusal = "unknown-passkey" | "challenge-expired" | "link-invalid" | "passkey-registered" | "not-granted" | "machine-unavailable" | "machine-not-made" | "no-such-machine" | "machine-exists" | "machine-in-use" | "too-many-machines" | "change-under-way" | "not-changed" | "machine-without-bus" | "machined-unavailable" | "shell-timed-out" | "shell-refused" | "worker-unavailable" | "touch-required" | "no-touch-needed" | "touch-stale" | "touch-spent" | "passkey-of-another" | "reason-required" | "no-such-session" | "not-a-terminal" | "not-shareable" | "only-to-watch" | "yourself" | "too-many" | "busy" | "bad-message" | "unavailable" | "version-mismatch" | "not-operator" | "no-account-of-user" | "unix-user-taken" | "account-exists" | "account-unusable" | "no-such-account" | "not-revoked" | "storage-failed" | "may-not-last" | "passkeys-full" | "too-many-failures" | "not-by-key" | "unknown-key" | "key-expired" | "resume-over" | "code-invalid" | "key-declined" | "keys-full" | "no-such-key";

export type EndReason = "shell-ended" | "never-started" | "machine-gone" | "ended-by-request" | "time-limit" | "worker-gone" | "view-closed" | "view-lost";

export type OpeningStep = "making" | "booting";

export type ShellExit = { "exited": number } | { "killed": Signal };

export type Signal = "HUP" | "ILL" | "TRAP" | "ABRT" | "BUS" | "FPE" | "KILL" | "SEGV" | "XCPU" | "XFSZ" | "SYS";

export type Ceremony = "create" | "get";

export type Extent = "whole" | "screen" | "recent";

export type Role = "owner" | "writer" | "watcher";

export type GuestRole = "writer" | "watcher";

export type Participant = { 
/**
 * The person's account.
 */
account: AccountName, 
/**
 * The person's role.
 */
role: Role, 
/**
 * The number of views that the person has open now.
 */
views: number, };

export type Target = { 
/**
 * The machine that the shell runs on.
 */
machine: MachineName, 
/**
 * The user that the shell runs as.
 */
user: UnixUser, };

export type TermSize = { cols: number, rows: number, };

export type Theme = { 
/**
 * The colour of text.
 */
foreground: Color, 
/**
 * The colour behind text.
 */
background: Color, 
/**
 * The colour of the cursor.
 */
cursor: Color, 
/**
 * The first 16 palette colours: the eight named colours, then their bright variants.
 */
palette: [Color, Color, Color, Color, Color, Color, Color, Color, Color, Color, Color, Color, Color, Color, Color, Color], };

export type Alert = { 
/**
 * The text of the notification; `None` for the bell.
 */
text: Label | null, 
/**
 * How many seconds ago.
 */
ago: number, };

export type About = { 
/**
 * The terminal title set by a program.
 */
title: Label | null, 
/**
 * The size of the terminal.
 */
size: TermSize, 
/**
 * How long there has been neither output nor input, in seconds.
 */
idle: number, 
/**
 * The number of viewers.
 */
viewers: number, 
/**
 * The last alert since which nobody has typed.
 */
alert: Alert | null, };

export type Terms = { 
/**
 * Whether each view takes a touch of a passkey, made for it.
 */
touch: boolean, 
/**
 * Whether the person must say in words why the session is opened.
 */
reason: boolean, 
/**
 * How long the session may last, in seconds, if there is a limit.
 */
limit: number | null, };

export type GrantedTarget = { 
/**
 * The target.
 */
target: Target, 
/**
 * What a session there takes.
 */
terms: Terms, };

export type TouchView = { "open": { 
/**
 * The target to open it on.
 */
target: Target, 
/**
 * Why, in the person's words.
 */
reason: Reason | null, } } | { "attach": { 
/**
 * The session.
 */
session: SessionId, } };

export type ResumeOffer = { 
/**
 * The public half.
 */
key: ClientPublicKey, 
/**
 * What the person is to know the browser by.
 */
name: Label, };

export type ResumeTerms = { 
/**
 * The id of the key.
 */
key: ClientKeyId, 
/**
 * How many seconds the key is good.
 */
seconds: number, };

export type KeyKind = "command-line" | "page";

export type KeySummary = { 
/**
 * Which of the two it is.
 */
kind: KeyKind, 
/**
 * Its id.
 */
key: ClientKeyId, 
/**
 * Its name.
 */
name: Label, 
/**
 * When it was bound, in seconds since 1970.
 */
bound: number, 
/**
 * When it was last used to sign in, in seconds since 1970; `None` if it never was.
 */
"last-sign-in": number | null, 
/**
 * Where it was bound from, if that was not this host.
 */
source: string | null, };

export type SessionSummary = { 
/**
 * The session's id.
 */
id: SessionId, 
/**
 * The target that the shell runs on.
 */
target: Target, 
/**
 * When the session was opened, in seconds since 1970.
 */
opened: number, 
/**
 * How many seconds are left until the session ends, if it has a time limit.
 */
left: number | null, 
/**
 * Whether each view takes a touch of a passkey, made for it.
 */
touch: boolean, 
/**
 * The account that opened the session.
 */
owner: AccountName, 
/**
 * The role of the account that asks. The operator may only look.
 */
role: Role, 
/**
 * The name that the owner gave the session.
 */
name: Label | null, 
/**
 * Accounts that view the session now, at most [`VIEWING_MAX`] of them.
 */
viewing: Array<AccountName>, 
/**
 * The worker's report; `None` if the worker did not answer in time.
 */
about: About | null, 
/**
 * Whether it is one command without a terminal, which cannot be viewed.
 */
exec: boolean, };

export type KeyRight = "list" | "attach" | "open" | "exec" | "end" | "name" | "share";

export type ChangeKind = "checkpoint" | "rebuild" | "fork" | "remove";

export type MachineChange = { "checkpoint": { 
/**
 * The machine.
 */
machine: MachineName, } } | { "rollback": { 
/**
 * The machine.
 */
machine: MachineName, 
/**
 * The number of the checkpoint.
 */
checkpoint: number, } } | { "remove-checkpoint": { 
/**
 * The machine.
 */
machine: MachineName, 
/**
 * The number of the checkpoint.
 */
checkpoint: number, } } | { "rebuild": { 
/**
 * The machine.
 */
machine: MachineName, } } | { "fork": { 
/**
 * The machine.
 */
machine: MachineName, 
/**
 * The name of the copy.
 */
copy: MachineName, } } | { "remove": { 
/**
 * The machine.
 */
machine: MachineName, } };

export type CheckpointReason = "asked" | "before-rebuild" | "before-rollback";

export type CheckpointSummary = { 
/**
 * Its number.
 */
checkpoint: number, 
/**
 * When it was kept, seconds since 1970.
 */
kept: number, 
/**
 * Why it was kept.
 */
reason: CheckpointReason, 
/**
 * Whether it has the machine's home too.
 */
home: boolean, };

export type MachineSummary = { 
/**
 * The machine.
 */
machine: MachineName, 
/**
 * Whether it is one for a task.
 */
task: boolean, 
/**
 * When it is to be removed, seconds since 1970; `None` for never.
 */
expires: number | null, 
/**
 * Whether its template has a newer version, which it gets when it is rebuilt.
 */
outdated: boolean, 
/**
 * Its checkpoints, oldest first.
 */
checkpoints: Array<CheckpointSummary>, 
/**
 * The changes that the account may have made of it.
 */
allow: Array<ChangeKind>, };

export type TaskMachines = { 
/**
 * The user that its shells run as.
 */
user: UnixUser, 
/**
 * What a session there takes.
 */
terms: Terms, 
/**
 * What stands before the task's name.
 */
before: string, 
/**
 * What stands after it.
 */
after: string, };

export type StopReason = "idle" | "rebuild" | "rollback" | "removed";

export type FromPage = { "type": "sign-in", } | { "type": "enrol", 
/**
 * The part of the link after `#enrol=`.
 */
token: SecretText, } | { "type": "answer", 
/**
 * The credential.
 */
credential: JsonValue, 
/**
 * A key with which the page may come back without a touch, if it has made one.
 */
resume: ResumeOffer | null, } | { "type": "resume", 
/**
 * The public half of the key.
 */
key: ClientPublicKey, } | { "type": "keys", } | { "type": "drop-key", 
/**
 * The key.
 */
key: ClientKeyId, } | { "type": "bind-key", 
/**
 * The public half of the key.
 */
key: ClientPublicKey, 
/**
 * What the person is to know it by.
 */
name: Label, } | { "type": "key-sign-in", 
/**
 * The key.
 */
key: ClientKeyId, } | { "type": "remove-key", 
/**
 * The key.
 */
key: ClientKeyId, } | { "type": "key-answer", 
/**
 * The signature (see `src/client_key.rs`), in base64url.
 */
signature: string, } | { "type": "find-binding", 
/**
 * The code, as the person typed it.
 */
code: SecretText, } | { "type": "bind", 
/**
 * The credential, as in `answer`.
 */
credential: JsonValue, } | { "type": "decline-binding", } | { "type": "list", } | { "type": "open", 
/**
 * The stream's number, chosen by the page.
 */
stream: number, 
/**
 * The target to open a session on.
 */
target: Target, 
/**
 * The size of the page's terminal.
 */
size: TermSize, 
/**
 * Why, in the person's words.
 */
reason: Reason | null, } | { "type": "attach", 
/**
 * The stream's number, chosen by the page.
 */
stream: number, 
/**
 * The session to view.
 */
session: SessionId, 
/**
 * The size of the page's terminal.
 */
size: TermSize, } | { "type": "attach-as", 
/**
 * The stream's number, chosen by `tere`.
 */
stream: number, 
/**
 * The session to view.
 */
session: SessionId, 
/**
 * The most that the view may do.
 */
role: GuestRole, } | { "type": "follow", } | { "type": "exec", 
/**
 * The stream's number, chosen by `tere`.
 */
stream: number, 
/**
 * The target to run it on.
 */
target: Target, 
/**
 * Why, in the person's words.
 */
reason: Reason | null, } | { "type": "step-up", 
/**
 * The stream's number, chosen by the page.
 */
stream: number, } | { "type": "touch", 
/**
 * The stream of the challenge.
 */
stream: number, 
/**
 * The credential, as in `answer`.
 */
credential: JsonValue, 
/**
 * What the stream is to view.
 */
view: TouchView, 
/**
 * The size of the page's terminal.
 */
size: TermSize, } | { "type": "resize", 
/**
 * The stream.
 */
stream: number, 
/**
 * The new size.
 */
size: TermSize, } | { "type": "shown", 
/**
 * The stream.
 */
stream: number, 
/**
 * The number of bytes.
 */
bytes: number, } | { "type": "refresh", 
/**
 * The stream.
 */
stream: number, } | { "type": "reset-terminal", 
/**
 * The stream.
 */
stream: number, } | { "type": "theme", 
/**
 * The stream.
 */
stream: number, 
/**
 * The colours.
 */
theme: Theme, } | { "type": "end", 
/**
 * The stream.
 */
stream: number, } | { "type": "close", 
/**
 * The stream.
 */
stream: number, } | { "type": "name", 
/**
 * The session.
 */
session: SessionId, 
/**
 * The new name; `None` removes it.
 */
name: Label | null, } | { "type": "share", 
/**
 * The session.
 */
session: SessionId, 
/**
 * The account to share it with.
 */
account: AccountName, 
/**
 * The account's role; `None` stops sharing.
 */
role: GuestRole | null, } | { "type": "end-session", 
/**
 * The session.
 */
session: SessionId, } | { "type": "change-machine", 
/**
 * The change.
 */
change: MachineChange, } | { "type": "ping", };

export type ToPage = { "type": "challenge", 
/**
 * The WebAuthn ceremony.
 */
ceremony: Ceremony, 
/**
 * `PublicKeyCredentialCreationOptionsJSON` or `PublicKeyCredentialRequestOptionsJSON`.
 */
options: JsonValue, } | { "type": "signed-in", 
/**
 * The account.
 */
account: AccountName, 
/**
 * The key that came with `answer` or `resume`, if the page may come back with it.
 */
resume?: ResumeTerms, } | { "type": "keys", 
/**
 * The keys, in the order in which they were bound.
 */
keys: Array<KeySummary>, } | { "type": "key-challenge", 
/**
 * 32 bytes, in base64url.
 */
nonce: string, } | { "type": "binding-code", 
/**
 * The code.
 */
code: SecretText, 
/**
 * How many seconds it is good.
 */
seconds: number, } | { "type": "key-bound", 
/**
 * The account.
 */
account: AccountName, } | { "type": "key-removed", } | { "type": "binding", 
/**
 * The id of the key.
 */
key: ClientKeyId, 
/**
 * The name that its command line gave it.
 */
name: Label, 
/**
 * Where that command line is, if it is not on this host.
 */
source: string | null, 
/**
 * What the key may do.
 */
allow: Array<KeyRight>, 
/**
 * How many seconds it is good.
 */
seconds: number, 
/**
 * `PublicKeyCredentialRequestOptionsJSON`, for the passkeys of the account. The answer
 * binds this key and does nothing else.
 */
options: JsonValue, } | { "type": "bound", } | { "type": "touch-challenge", 
/**
 * The stream of the request.
 */
stream: number, 
/**
 * `PublicKeyCredentialRequestOptionsJSON`.
 */
options: JsonValue, } | { "type": "lobby", 
/**
 * Granted targets, in the order of the policy.
 */
targets: Array<GrantedTarget>, 
/**
 * Live sessions, oldest first.
 */
sessions: Array<SessionSummary>, 
/**
 * The account's own machines that tere has made, sorted by name.
 */
machines: Array<MachineSummary>, 
/**
 * The machines for tasks that it may have made: opening one makes it.
 */
tasks: Array<TaskMachines>, } | { "type": "machine-changed", 
/**
 * The change.
 */
change: MachineChange, 
/**
 * Why it was refused; `None` if it is made.
 */
refusal: Refusal | null, } | { "type": "progress", 
/**
 * The stream of the request.
 */
stream: number, 
/**
 * The step that has begun.
 */
step: OpeningStep, } | { "type": "opened", 
/**
 * The stream of the request.
 */
stream: number, 
/**
 * The session in view.
 */
session: SessionId, 
/**
 * The target that the session runs on.
 */
target: Target, 
/**
 * How many seconds are left until the session ends, if it has a time limit.
 */
left: number | null, } | { "type": "snapshot", 
/**
 * The stream.
 */
stream: number, 
/**
 * The size of the terminal.
 */
size: TermSize, 
/**
 * Length of the snapshot, bytes.
 */
bytes: number, 
/**
 * What the snapshot contains.
 */
extent: Extent, } | { "type": "size", 
/**
 * The stream.
 */
stream: number, 
/**
 * The size.
 */
size: TermSize, } | { "type": "input-dropped", 
/**
 * The stream.
 */
stream: number, 
/**
 * The number of bytes thrown away.
 */
bytes: number, } | { "type": "end", 
/**
 * The stream.
 */
stream: number, } | { "type": "closed", 
/**
 * The stream.
 */
stream: number, 
/**
 * Why the stream is closed.
 */
reason: EndReason, 
/**
 * How the shell ended, if its machine reported it.
 */
exit: ShellExit | null, } | { "type": "sharing", 
/**
 * The session.
 */
session: SessionId, 
/**
 * The people, the owner first.
 */
participants: Array<Participant>, 
/**
 * The role of this connection's account.
 */
role: Role, 
/**
 * The most that the policy lets the owner give a guest; null if it lets nothing be shared.
 */
shareable: GuestRole | null, } | { "type": "following", 
/**
 * The sessions. Each comes as a `session`.
 */
sessions: Array<SessionId>, } | { "type": "session", 
/**
 * The session, without its worker's report.
 */
summary: SessionSummary, 
/**
 * The people, the owner first. Empty if a view of the session takes a touch.
 */
participants: Array<Participant>, } | { "type": "session-ended", 
/**
 * The session.
 */
session: SessionId, 
/**
 * Why.
 */
reason: EndReason, 
/**
 * How the shell ended, if its machine reported it.
 */
exit: ShellExit | null, } | { "type": "session-hidden", 
/**
 * The session.
 */
session: SessionId, } | { "type": "machine-stopped", 
/**
 * The machine.
 */
machine: MachineName, 
/**
 * Why, if tere stopped it.
 */
why: StopReason | null, } | { "type": "refused", 
/**
 * The stream of the request, if it had one.
 */
stream: number | null, 
/**
 * Why the request was refused.
 */
refusal: Refusal, } | { "type": "done", } | { "type": "pong", 
/**
 * The front's clock, milliseconds since this connection began.
 */
at: number, };

export type AccountName = string;

export type Label = string;

export type Reason = string;

export type SessionId = string;

export type MachineName = string;

export type UnixUser = string;

export type Color = string;

export type SecretText = string;

export type ClientKeyId = string;

export type ClientPublicKey = string;

export type JsonValue = unknown;
