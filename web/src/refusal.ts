// The sentences for refusals and ends. A new variant without a sentence does not compile. The
// sentences for refusals are those of `Refusal::sentence` in src/protocol/refusal.rs.

import type { EndReason, Refusal, ShellExit, StopReason } from './protocol.ts';

export const refusalSentences: Record<Refusal, string> = {
  'unknown-passkey': 'This passkey is not known here. Try another one, or ask for a new enrolment link.',
  'challenge-expired': 'That took too long. Please sign in again.',
  'link-invalid': 'This enrolment link has been used, has expired or is not complete. Ask for a new one.',
  'passkey-registered': 'Your passkey is registered, but you are not signed in yet. Sign in with it in a moment.',
  'not-granted': 'You are not allowed there. Ask whoever runs this host for a grant.',
  'machine-unavailable':
    'The machine is not running and could not be started. Ask whoever runs this host to look at it.',
  'machine-not-made':
    "This machine could not be made. Ask whoever runs this host to look at 'journalctl -t tere-machine'.",
  'no-such-machine': 'There is no such machine or checkpoint any more.',
  'machine-exists': 'A machine of that name, or a home that it left, is there already. Choose another name.',
  'machine-in-use':
    'The machine cannot be copied just now: it is starting, stopping or too busy. Try again in a moment.',
  'too-many-machines': 'You have as many machines or checkpoints as you may have. Remove one, and try again.',
  'change-under-way': 'Another change of a machine of yours is not finished yet. Wait for it.',
  'not-changed':
    "The machine could not be changed. Ask whoever runs this host to look at 'journalctl -t tere-machine'.",
  'machine-without-bus': 'The machine is running but cannot open a shell: it needs systemd and D-Bus inside.',
  'machined-unavailable':
    'systemd-machined is not answering on this host. Try again in a moment, or ask whoever runs it.',
  'shell-timed-out': 'The machine did not open a shell in time. Try again in a moment.',
  'shell-refused': "The host refused to open this shell. Ask whoever runs it to run 'tere check'.",
  'worker-unavailable': "The session's process does not answer. Try again in a moment.",
  'touch-required': 'This shell needs your passkey once more. Try again.',
  'no-touch-needed': 'This shell does not need your passkey any more. Try again.',
  'touch-stale': 'Your passkey was used too long ago. Use it again.',
  'touch-spent': 'Each use of your passkey opens one shell. Use it again.',
  'passkey-of-another': 'This passkey is not one of the account that you are signed in to. Use one that is.',
  'reason-required': 'Say in a few words why you need this shell.',
  'no-such-session': 'There is no such session of yours. It may have ended.',
  'not-a-terminal': 'This is a command without a terminal, so there is nothing to see of it.',
  'not-shareable':
    "This session may not be shared. Ask whoever runs this host to write 'share = true' into its grant.",
  'only-to-watch':
    "Others may watch this session, but not type. Ask whoever runs this host to write 'share = true' into its grant.",
  yourself: 'This session is yours already. Name somebody else to share it with.',
  'too-many': 'Too many are open already. Close one and try again.',
  busy: 'Too many people are signing in just now. Reload the page and try again in a moment.',
  'too-many-failures': 'Too many sign-ins from your network have failed. Wait a minute, and try again.',
  'bad-message': 'The page and the server did not understand each other. Reload the page.',
  unavailable: 'A part of tere is not running. Try again in a moment, or ask whoever runs this host.',
  'version-mismatch':
    "tere is being upgraded. Try again in a moment; if it stays like this, ask whoever runs this host to restart tere-broker, or what 'tere check' names.",
  'not-operator': 'Only root may do this.',
  'no-account-of-user': 'Your UNIX user belongs to no account. root can change that: tere account add-unix-user ACCOUNT USER',
  'unix-user-taken': "This UNIX user belongs to another account. 'tere account list' shows which.",
  'account-exists': 'An account of that name exists already.',
  'account-unusable':
    "The file of this account cannot be used. 'tere account list' shows it: fix it, or remove the account.",
  'no-such-account': "There is no account of that name. 'tere account list' shows them.",
  'not-revoked':
    "This is done, but tere-broker could not be told: what was open may still be open. If an account was removed, tere-auth tells it again until it answers; 'systemctl restart tere-broker' closes all of it at once.",
  'storage-failed': 'The host could not store this. Its disk may be full.',
  'may-not-last':
    "This is done, but the host's disk failed: a power cut may undo it. Ask whoever runs this host to look at the disk.",
  'not-by-key':
    'Not with a client key: sign in to the page for this, or ask whoever runs this host for a [[client-key]] in its policy.',
  'unknown-key': 'This client key is not known here any more. Sign in again: tere login',
  'key-expired': 'This client key is too old. Sign in again: tere login',
  'resume-over': 'Use your passkey again: its last use here is too long ago, or this browser was signed out.',
  'code-invalid':
    "No command line waits with this code. Each code is good once, for a few minutes: run 'tere login' again.",
  'key-declined': 'It was declined in the page. Nothing has changed.',
  'keys-full':
    "This account has as many client keys as it may have. Remove one: tere logout there, or 'tere account remove-key' on the host.",
  'no-such-key': "This account has no such client key. 'tere account list-keys' shows those that it has.",
  'passkeys-full':
    'This account has as many passkeys as it may have. Sign in with one of them, or ask for a new account.',
};

/** Why a machine went away, if tere stopped it. */
export const stopSentences: Record<StopReason, string> = {
  idle: 'The machine was stopped to save resources: nobody used it. What the shell last printed is still here.',
  rebuild: 'The machine is being rebuilt: it gets a fresh system, and keeps its home.',
  rollback: 'The machine went back to a checkpoint.',
  removed: 'The machine was removed.',
};

export const endSentences: Record<EndReason, string> = {
  'shell-ended': 'The shell has ended.',
  'machine-gone': 'The machine went away, and the shell with it. What it last printed is still here.',
  'ended-by-request': 'This session was ended on request.',
  'time-limit': 'The time of this session is over, and its shell was hung up.',
  'never-started':
    'The shell did not start. The user of this target may not exist in the machine: ask whoever runs this host.',
  'view-closed': 'You may not see this shell any more. It goes on without you.',
  'view-lost': 'This view of the shell broke off, but the shell goes on. Come back to it by the list of shells.',
  'worker-gone': "The session's process went away, and the shell with it.",
};

/** The sentence for a refusal, even for an unknown one from a newer server. */
export function refusalSentence(refusal: Refusal): string {
  return refusalSentences[refusal] ?? `The server refused this (${refusal}). Reload the page.`;
}

/**
 * The sentence for a refused view. Here, `version-mismatch` concerns a process on the host, which a
 * reload of the page does not change.
 */
export function viewRefusalSentence(refusal: Refusal): string {
  if (refusal !== 'version-mismatch') return refusalSentence(refusal);
  return 'A part of tere was upgraded and another was not. Try again in a moment, or ask whoever runs this host to restart it.';
}

/**
 * The sentence for an end, even for an unknown one from a newer server. An exit status of 0 is not
 * mentioned.
 */
export function endSentence(reason: EndReason, exit?: ShellExit | null): string {
  if (reason === 'shell-ended' && exit && 'killed' in exit) return `The shell was killed (SIG${exit.killed}).`;
  if (reason === 'shell-ended' && exit && 'exited' in exit && exit.exited !== 0) return `The shell has ended (exit status ${exit.exited}).`;
  return endSentences[reason] ?? 'The session has ended.';
}

/** The sentence for a machine that went away, and the shell with it. */
export function machineGoneSentence(why: StopReason | null): string {
  return (why !== null && stopSentences[why]) || endSentences['machine-gone'];
}

/** Whether a refusal leaves the connection unusable, so that only a reload can help. */
export function needsReload(refusal: Refusal): boolean {
  return refusal === 'bad-message';
}
