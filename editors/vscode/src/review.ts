// Regions that were filled in place: highlighted, stepped through, kept or taken back one by one.

import {
  CodeLens, type CodeLensProvider, Disposable, EventEmitter, MarkdownString, OverviewRulerLane, Selection, type TextDocument,
  type TextEditor, TextEditorRevealType, ThemeColor, WorkspaceEdit, commands, languages, window, workspace,
} from 'vscode';
import { type Proposal, madeIn, rangeOf } from './proposals';
import { type Change, type Region, followed, regionsAfter } from './regions';

/** A region that has been filled, and what stood there before. */
interface Filled {
  readonly region: Region;
  readonly before: string;
}

export class Review implements Disposable, CodeLensProvider {
  private readonly redrawn = new EventEmitter<void>();
  private readonly listeners: Disposable;
  private readonly all = decoration('diffEditor.insertedTextBackground', 'diffEditor.insertedTextBorder');
  private readonly current = decoration('editor.findMatchBackground', 'editor.findMatchBorder');
  private document: TextDocument | undefined;
  private filled: Filled[] = [];
  private at = 0;

  readonly onDidChangeCodeLenses = this.redrawn.event;

  constructor() {
    this.listeners = Disposable.from(
      this.all,
      this.current,
      this.redrawn,
      languages.registerCodeLensProvider([{ scheme: 'file' }, { scheme: 'untitled' }], this),
      window.onDidChangeVisibleTextEditors(() => { this.draw(); }),
      window.onDidChangeActiveTextEditor(() => { this.tellKeys(); }),
      workspace.onDidChangeTextDocument((event) => {
        if (event.document === this.document) this.follow(event.document, madeIn(event));
      }),
      workspace.onDidCloseTextDocument((document) => {
        if (document === this.document) this.keepAll();
      }),
    );
  }

  /** Make the changes, then show where. */
  async begin(proposal: Proposal): Promise<void> {
    const { document, changes } = proposal;
    const before = changes.map(({ start, end }) => document.getText(rangeOf(document, { start, end })));
    this.keepAll();
    const made = await proposal.make();
    proposal.dispose();
    if (!made) {
      void window.showWarningMessage('dgemma: The edit could not be made.');
      return;
    }
    this.document = document;
    this.filled = regionsAfter(changes).map((region, index) => ({ region, before: before[index] ?? '' }));
    this.at = 0;
    await this.step(0);
  }

  /** Go to another region: 1 is the next one, -1 the one before. */
  async step(steps: number): Promise<void> {
    if (this.document === undefined) return;
    this.at = (this.at + steps + this.filled.length) % Math.max(1, this.filled.length);
    const filled = this.filled[this.at];
    if (filled === undefined) return;
    const editor = await window.showTextDocument(this.document, { preview: false });
    const range = rangeOf(this.document, filled.region);
    editor.selection = new Selection(range.end, range.end);
    editor.revealRange(range, TextEditorRevealType.InCenterIfOutsideViewport);
    this.draw();
  }

  /** Keep a region; the present one when none is named. */
  async keep(index = this.at): Promise<void> {
    this.filled = this.filled.filter((_, other) => other !== index);
    this.afterSettled(index);
    await this.step(0);
  }

  /** Put back what stood in a region. */
  async reject(index = this.at): Promise<void> {
    const filled = this.filled[index];
    if (filled === undefined) return;
    this.filled = this.filled.filter((one) => one !== filled);
    await this.restore([filled]);
    this.afterSettled(index);
    await this.step(0);
  }

  keepAll(): void {
    this.filled = [];
    this.draw();
    this.document = undefined;
  }

  async rejectAll(): Promise<void> {
    const filled = this.filled;
    this.filled = [];
    await this.restore(filled);
    this.keepAll();
  }

  provideCodeLenses(document: TextDocument): CodeLens[] {
    if (document !== this.document) return [];
    return this.filled.flatMap(({ region }, index) => {
      const range = rangeOf(document, region);
      const lens = (title: string, command: string, ...args: unknown[]): CodeLens => (
        new CodeLens(range, { title, command, arguments: args })
      );
      return [
        lens(`filled ${index + 1} of ${this.filled.length}: keep`, 'dgemma.review.keep', index),
        lens('take back', 'dgemma.review.reject', index),
        ...(this.filled.length > 1 ? [lens('next', 'dgemma.review.next')] : []),
      ];
    });
  }

  dispose(): void {
    this.listeners.dispose();
  }

  private afterSettled(index: number): void {
    if (this.at > index || this.at >= this.filled.length) this.at = Math.max(0, this.at - 1);
    this.draw();
    if (this.filled.length === 0) this.document = undefined;
  }

  private async restore(filled: readonly Filled[]): Promise<void> {
    const document = this.document;
    if (document === undefined) return;
    const edit = new WorkspaceEdit();
    for (const { region, before } of filled) edit.replace(document.uri, rangeOf(document, region), before);
    await workspace.applyEdit(edit);
  }

  private follow(document: TextDocument, made: readonly Change[]): void {
    for (const change of made) {
      this.filled = this.filled.flatMap((one) => {
        const region = followed(one.region, change);
        return region === undefined ? [] : [{ ...one, region }];
      });
    }
    // What has been undone is no longer filled.
    this.filled = this.filled.filter(({ region, before }) => document.getText(rangeOf(document, region)) !== before);
    this.at = Math.min(this.at, Math.max(0, this.filled.length - 1));
    this.draw();
  }

  private draw(): void {
    for (const editor of window.visibleTextEditors) {
      if (editor.document === this.document) this.drawIn(editor);
    }
    this.tellKeys();
    this.redrawn.fire();
  }

  private tellKeys(): void {
    const here = window.activeTextEditor?.document === this.document;
    void commands.executeCommand('setContext', 'dgemma.reviewing', here && this.filled.length > 0);
  }

  private drawIn(editor: TextEditor): void {
    const drawn = this.filled.map(({ region, before }) => ({
      range: rangeOf(editor.document, region),
      hoverMessage: new MarkdownString('Filled by dgemma; before:').appendCodeblock(before, editor.document.languageId),
    }));
    editor.setDecorations(this.all, drawn.filter((_, index) => index !== this.at));
    editor.setDecorations(this.current, drawn.filter((_, index) => index === this.at));
  }
}

function decoration(background: string, border: string): ReturnType<typeof window.createTextEditorDecorationType> {
  return window.createTextEditorDecorationType({
    backgroundColor: new ThemeColor(background),
    borderColor: new ThemeColor(border),
    overviewRulerColor: new ThemeColor('editorOverviewRuler.addedForeground'),
    overviewRulerLane: OverviewRulerLane.Right,
  });
}
