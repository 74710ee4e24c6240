// Where nothing appears while the user types: in a file, in a language, everywhere.

import { type Disposable, EventEmitter, type Memento, type TextDocument, commands, window, workspace } from 'vscode';

const EVERYWHERE = 'paused.everywhere';
const LANGUAGES = 'paused.languages';

export class Pauses implements Disposable {
  private readonly files = new Set<string>();
  private readonly changed = new EventEmitter<undefined>();
  private readonly listeners: Disposable[];

  /** Fires when anything is paused or resumed. */
  readonly onDidChange = this.changed.event;

  /** @param memory keeps the pauses of languages and the one of everything; that of a file ends when it is closed. */
  constructor(private readonly memory: Memento) {
    this.listeners = [
      window.onDidChangeActiveTextEditor(() => { this.tellKeys(); }),
      workspace.onDidCloseTextDocument((document) => this.files.delete(document.uri.toString())),
    ];
    this.tellKeys();
  }

  /** Why nothing appears in a document, in words; undefined when it may. */
  reason(document: TextDocument | undefined): string | undefined {
    if (this.everywhere) return 'everywhere';
    if (document === undefined) return undefined;
    if (this.files.has(document.uri.toString())) return 'in this file';
    return this.languages.includes(document.languageId) ? `in ${document.languageId}` : undefined;
  }

  pauseDocument(document: TextDocument): void {
    this.files.add(document.uri.toString());
    this.tell();
  }

  async pauseLanguage(language: string): Promise<void> {
    await this.memory.update(LANGUAGES, [...new Set([...this.languages, language])]);
    this.tell();
  }

  async pauseEverywhere(): Promise<void> {
    await this.memory.update(EVERYWHERE, true);
    this.tell();
  }

  /** Lift everything that keeps a document quiet. */
  async resume(document: TextDocument | undefined): Promise<void> {
    await this.memory.update(EVERYWHERE, false);
    if (document !== undefined) {
      this.files.delete(document.uri.toString());
      await this.memory.update(LANGUAGES, this.languages.filter((one) => one !== document.languageId));
    }
    this.tell();
  }

  dispose(): void {
    for (const one of [this.changed, ...this.listeners]) one.dispose();
  }

  private get everywhere(): boolean {
    return this.memory.get(EVERYWHERE, false);
  }

  private get languages(): readonly string[] {
    return this.memory.get<string[]>(LANGUAGES, []);
  }

  private tell(): void {
    this.tellKeys();
    this.changed.fire(undefined);
    // What is on the screen was shown before the pause.
    if (this.reason(window.activeTextEditor?.document) !== undefined) {
      void commands.executeCommand('editor.action.inlineSuggest.hide');
    }
  }

  private tellKeys(): void {
    const paused = this.reason(window.activeTextEditor?.document) !== undefined;
    void commands.executeCommand('setContext', 'dgemma.paused', paused);
    void commands.executeCommand('setContext', 'dgemma.pausedEverywhere', this.everywhere);
  }
}
