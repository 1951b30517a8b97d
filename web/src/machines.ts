// What the lobby shows of the machines that tere makes, and what their owner may have done with
// them.

import { button, span } from './elements.ts';
import { announce, notice } from './notice.ts';
import type {
  ChangeKind,
  CheckpointSummary,
  MachineChange,
  MachineName,
  MachineSummary,
  Refusal,
  Target,
  TaskMachines,
} from './protocol.ts';
import { refusalSentence } from './refusal.ts';
import type { RowControls } from './rowcontrols.ts';
import { ago, inTime } from './words.ts';

/** The names that tasks may have; the same as `TaskName` in src/names/task.rs. */
const TASK = /^[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?$/;
const TASK_RULE = "Use 1 to 24 of a-z, 0-9 and '-', beginning and ending with a letter or a digit.";

export interface MachineCallbacks {
  open(target: Target): void;
  change(change: MachineChange): void;
}

/** The machines whose controls are shown. */
const unfolded = new Set<MachineName>();
/** What is being done to machines now. */
const underWay = new Map<MachineName, string>();

/** The name of a machine for a task, or undefined if the task cannot have this name. */
export function machineForTask({ before, after }: TaskMachines, task: string): MachineName | undefined {
  const plain = task.trim().toLowerCase().replace(/\s+/g, '-');
  return TASK.test(plain) ? before + plain + after : undefined;
}

/** Forgets what is being done: a new connection is not told when it is done. */
export function forgetChanges(): void {
  underWay.clear();
}

/** A change was made or refused. */
export function machineChanged(change: MachineChange, refusal: Refusal | null): void {
  underWay.delete(machineOf(change));
  const text = refusal === null ? outcome(change) : refusalSentence(refusal);
  notice('machine', text);
  announce(text);
}

/** A short description of a machine's state, or an empty string. */
export function machineNews(machine: MachineSummary): string {
  const doing = underWay.get(machine.machine);
  if (doing !== undefined) return doing;
  const left = machine.expires === null ? undefined : machine.expires - Date.now() / 1000;
  return [
    left === undefined ? '' : left > 0 ? `removed in ${inTime(left)}` : 'about to be removed',
    machine.outdated ? 'a newer system is there: rebuild it' : '',
  ]
    .filter((part) => part)
    .join(', ');
}

/** The button that shows or hides the controls of a machine, if there is anything that may be done. */
export function unfoldButton({ machine, allow }: MachineSummary, redraw: () => void): HTMLButtonElement | undefined {
  if (allow.length === 0) return undefined;
  const isOpen = unfolded.has(machine);
  const made = button('Machine', () => {
    if (isOpen) unfolded.delete(machine);
    else unfolded.add(machine);
    redraw();
  });
  made.className = 'quiet-button';
  made.dataset['key'] = `machine ${machine}`;
  made.setAttribute('aria-expanded', String(isOpen));
  made.setAttribute('aria-label', `Machine ${machine}: copy it, keep it as it is, or make it anew`);
  return made;
}

/** The controls of a machine, if they are to be shown. */
export function machineControls(
  machine: MachineSummary,
  tasks: TaskMachines[],
  controls: RowControls,
  { change }: MachineCallbacks,
): HTMLElement | undefined {
  const { machine: name, allow } = machine;
  if (allow.length === 0 || !unfolded.has(name)) return undefined;
  const made = document.createElement('div');
  made.className = 'machine';
  const ask = (asked: MachineChange) => {
    underWay.set(name, doing(asked));
    announce(doing(asked));
    change(asked);
  };
  const may = (kind: ChangeKind) => allow.includes(kind);
  const actions = document.createElement('p');
  actions.className = 'row';
  const [task] = tasks;
  if (may('fork') && task !== undefined) {
    actions.append(
      controls.field({
        key: `fork ${name}`,
        label: 'Copy…',
        whole: `Copy ${name} as it is now`,
        fieldName: `Name of a copy of ${name}`,
        value: '',
        placeholder: 'name',
        before: task.before,
        takenOnLeaving: false,
        take: (text) => {
          const copy = machineForTask(task, text);
          if (copy === undefined) return TASK_RULE;
          ask({ fork: { machine: name, copy } });
          return undefined;
        },
      }),
    );
  }
  if (may('checkpoint')) {
    const keep = button('Keep a checkpoint', () => {
      ask({ checkpoint: { machine: name } });
    });
    keep.dataset['key'] = `checkpoint ${name}`;
    actions.append(keep);
  }
  if (may('rebuild')) {
    actions.append(
      controls.sure({
        key: `rebuild ${name}`,
        label: 'Rebuild',
        question: 'Stop it and make a fresh system?',
        whole: `Rebuild ${name}: a fresh system, with the same home`,
        wholeQuestion: `Stop ${name} and make a fresh system?`,
        loses: false,
        run: () => ask({ rebuild: { machine: name } }),
      }),
    );
  }
  if (may('remove')) {
    actions.append(
      controls.sure({
        key: `remove ${name}`,
        label: 'Remove',
        question: machine.task ? 'Remove it with its home?' : 'Remove it, but not its home?',
        whole: machine.task ? `Remove ${name} with its home` : `Remove ${name}, but not its home`,
        wholeQuestion: machine.task ? `Remove ${name} with its home?` : `Remove ${name}, but not its home?`,
        loses: true,
        run: () => ask({ remove: { machine: name } }),
      }),
    );
  }
  made.append(actions);
  if (may('checkpoint') && machine.checkpoints.length > 0) {
    const list = document.createElement('ul');
    list.setAttribute('aria-label', `Checkpoints of ${name}`);
    list.append(...machine.checkpoints.map((one) => checkpointRow(name, one, controls, ask)).reverse());
    made.append(list);
  }
  if (underWay.has(name)) for (const one of made.querySelectorAll('button')) one.disabled = true;
  return made;
}

function checkpointRow(
  machine: MachineName,
  { checkpoint, kept, reason, home }: CheckpointSummary,
  controls: RowControls,
  ask: (change: MachineChange) => void,
): HTMLLIElement {
  const row = document.createElement('li');
  const why = { asked: '', 'before-rebuild': ', before a rebuild', 'before-rollback': ', before going back' }[reason];
  row.append(span(`Checkpoint ${checkpoint}, ${ago(kept, Date.now())}${why}${home ? '' : ', without the home'}`, 'quiet name'));
  row.append(
    controls.sure({
      key: `rollback ${machine} ${checkpoint}`,
      label: 'Go back',
      question: 'Stop it and go back?',
      whole: `Go back to checkpoint ${checkpoint} of ${machine}. What is there now is kept as a checkpoint`,
      wholeQuestion: `Stop ${machine} and go back to checkpoint ${checkpoint}?`,
      loses: false,
      run: () => ask({ rollback: { machine, checkpoint } }),
    }),
    controls.sure({
      key: `remove ${machine} ${checkpoint}`,
      label: 'Remove',
      question: 'Really remove it?',
      whole: `Remove checkpoint ${checkpoint} of ${machine}`,
      wholeQuestion: `Really remove checkpoint ${checkpoint} of ${machine}?`,
      loses: true,
      run: () => ask({ 'remove-checkpoint': { machine, checkpoint } }),
    }),
  );
  return row;
}

/** A row that makes a new machine for a task. */
export function newMachineRow(task: TaskMachines, controls: RowControls, { open }: MachineCallbacks): HTMLLIElement {
  const row = document.createElement('li');
  const made = controls.field({
    key: `new ${task.user} ${task.before}`,
    label: 'New machine for a task…',
    whole: `Make a new machine for a task, as ${task.user}`,
    fieldName: `Name of a new machine for a task, as ${task.user}`,
    value: '',
    placeholder: 'name',
    before: `${task.user}@${task.before}`,
    takenOnLeaving: false,
    take: (text) => {
      const machine = machineForTask(task, text);
      if (machine === undefined) return TASK_RULE;
      open({ user: task.user, machine });
      return undefined;
    },
  });
  made.className = 'choice new';
  row.append(made);
  return row;
}

function machineOf(change: MachineChange): MachineName {
  if ('checkpoint' in change) return change.checkpoint.machine;
  if ('rollback' in change) return change.rollback.machine;
  if ('remove-checkpoint' in change) return change['remove-checkpoint'].machine;
  if ('rebuild' in change) return change.rebuild.machine;
  if ('fork' in change) return change.fork.machine;
  return change.remove.machine;
}

function doing(change: MachineChange): string {
  if ('checkpoint' in change) return 'keeping a checkpoint…';
  if ('rollback' in change) return 'going back…';
  if ('remove-checkpoint' in change) return 'removing a checkpoint…';
  if ('rebuild' in change) return 'rebuilding…';
  if ('fork' in change) return `copying to ${change.fork.copy}…`;
  return 'removing…';
}

function outcome(change: MachineChange): string {
  const machine = machineOf(change);
  if ('checkpoint' in change) return `A checkpoint of ${machine} is kept.`;
  if ('rollback' in change) return `${machine} is as it was. What it was before going back is kept as a checkpoint.`;
  if ('remove-checkpoint' in change) return `Checkpoint ${change['remove-checkpoint'].checkpoint} of ${machine} is removed.`;
  if ('rebuild' in change) return `${machine} gets a fresh system when you open it. The old one is kept as a checkpoint.`;
  if ('fork' in change) return `${change.fork.copy} is ready: a copy of ${machine}.`;
  return `${machine} is removed.`;
}
