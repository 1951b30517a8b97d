// The controls of a row that need more than a press: a button that asks whether the user is sure,
// and one that is replaced by a text field for a while.

import { button } from './elements.ts';
import { announce } from './notice.ts';

/** How long a button asks for confirmation. */
const SURE_MS = 6_000;

interface SureButton {
  /** Distinguishes it from the other buttons of the page. */
  key: string;
  label: string;
  /** Its text while it asks. */
  question: string;
  /** What it does, for users who hear it without seeing its row. */
  whole: string;
  /** The question, for the same users. */
  wholeQuestion: string;
  /** Whether something is lost by it. Otherwise it only interrupts. */
  loses: boolean;
  run(): void;
}

interface FieldButton {
  key: string;
  label: string;
  /** What the button does, for users who hear it without seeing its row. */
  whole: string;
  /** What the field is for. */
  fieldName: string;
  value: string;
  placeholder?: string;
  /** What stands before the field. */
  before?: string;
  /** Whether the text is accepted when the focus goes elsewhere in the page, and not only by Enter. */
  takenOnLeaving: boolean;
  /** Takes the text. Returns a sentence if it cannot: then the field stays. */
  take(text: string): string | undefined;
}

export class RowControls {
  /** Whether a field stands: then the rows must not be redrawn. */
  isEditing = false;
  #redraw: () => void;
  #focus: (key: string) => void;
  /** The button that asks for confirmation. */
  #asked: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isDrawing = false;

  /** `redraw` draws all rows anew; `focus` gives the focus to the element with a key. */
  constructor(redraw: () => void, focus: (key: string) => void) {
    this.#redraw = redraw;
    this.#focus = focus;
  }

  /** Runs what draws the rows. A redrawn button gets the focus back, which withdraws no question. */
  drawing(draw: () => void): void {
    this.#isDrawing = true;
    draw();
    this.#isDrawing = false;
  }

  /** A button for what cannot be undone: it asks for confirmation in its own place. */
  sure({ key, label, question, whole, wholeQuestion, loses, run }: SureButton): HTMLButtonElement {
    const isSure = this.#asked === key;
    const made = button(isSure ? question : label, () => {
      clearTimeout(this.#timer);
      if (isSure && this.#asked === key) {
        this.#asked = undefined;
        run();
      } else {
        this.#asked = key;
        this.#timer = setTimeout(forget, SURE_MS);
        announce(`${question} Press once more.`);
      }
      this.#redraw();
    });
    const forget = () => {
      if (this.#asked !== key || this.#isDrawing) return;
      this.#asked = undefined;
      clearTimeout(this.#timer);
      this.#redraw();
    };
    made.className = [loses || isSure ? 'danger' : '', isSure ? 'sure' : ''].join(' ').trim();
    made.dataset['key'] = key;
    made.setAttribute('aria-label', isSure ? `${wholeQuestion} Press once more.` : whole);
    made.onblur = () => {
      // A redrawn button gets the focus back at once. If the button has lost the focus, the
      // question is withdrawn.
      if (!this.#isDrawing) setTimeout(() => document.activeElement?.getAttribute('data-key') !== key && forget());
    };
    return made;
  }

  /**
   * A button that replaces itself with a text field. Enter accepts the text, Escape discards it.
   */
  field({ key, label, whole, fieldName, value, placeholder, before, takenOnLeaving, take }: FieldButton): HTMLButtonElement {
    const made = button(label, () => {
      const input = document.createElement('input');
      input.value = value;
      input.placeholder = placeholder ?? '';
      input.autocomplete = 'off';
      input.spellcheck = false;
      input.setAttribute('aria-label', fieldName);
      const done = (verdict: 'take' | 'leave') => {
        if (!this.isEditing) return;
        const trouble = verdict === 'take' ? take(input.value) : undefined;
        if (trouble !== undefined) {
          input.setCustomValidity(trouble);
          input.reportValidity();
          return;
        }
        this.isEditing = false;
        const hadFocus = document.activeElement === input;
        this.#redraw();
        if (hadFocus) this.#focus(key);
      };
      input.oninput = () => input.setCustomValidity('');
      input.onkeydown = (event) => {
        // During composition, Enter and Escape belong to the input method.
        if (event.isComposing || !['Enter', 'Escape'].includes(event.key)) return;
        event.stopPropagation();
        // Otherwise the same Enter would press the button that receives the focus.
        event.preventDefault();
        done(event.key === 'Enter' ? 'take' : 'leave');
      };
      // Switching to another window decides nothing.
      input.onblur = () => {
        if (document.hasFocus()) done(takenOnLeaving ? 'take' : 'leave');
      };
      this.isEditing = true;
      const place = document.createElement('label');
      place.className = 'field';
      if (before !== undefined) place.append(before);
      place.append(input);
      made.replaceWith(place);
      input.focus();
      input.select();
    });
    made.className = 'quiet-button';
    made.dataset['key'] = key;
    made.setAttribute('aria-label', whole);
    return made;
  }
}
