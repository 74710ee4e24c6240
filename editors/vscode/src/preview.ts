// A proposal side by side with the present text, until the user accepts or rejects it.

import {
  Disposable, EventEmitter, type TextDocumentContentProvider, TabInputTextDiff, Uri, commands, window, workspace,
} from 'vscode';
import { type Proposal, rangeOf } from './proposals';
import { regionsAfter } from './regions';

export const SCHEME = 'dgemma-preview';

export class Previews implements Disposable, TextDocumentContentProvider {
  private readonly redrawn = new EventEmitter<Uri>();
  private readonly listeners: Disposable;
  private shown: Shown | undefined;
  private count = 0;

  readonly onDidChange = this.redrawn.event;

  constructor() {
    this.listeners = Disposable.from(
      workspace.registerTextDocumentContentProvider(SCHEME, this),
      window.tabGroups.onDidChangeTabs(({ closed }) => {
        // Who closes the comparison does not want what it shows.
        if (closed.some(({ input }) => this.isOurs(input))) this.forget();
      }),
    );
  }

  provideTextDocumentContent(uri: Uri): string {
    return uri.toString() === this.shown?.uri.toString() ? this.shown.proposal.result : '';
  }

  async show(proposal: Proposal): Promise<void> {
    await this.reject();
    const { document } = proposal;
    // The path gives the comparison its language; the number keeps VS Code from showing the last one again.
    const uri = document.uri.with({ scheme: SCHEME, query: String(++this.count) });
    const listeners = Disposable.from(
      proposal,
      proposal.onDidChange(() => { this.redrawn.fire(uri); }),
      proposal.onDidEnd(() => {
        void window.showInformationMessage('dgemma: The text of the rewrite has changed, so the rewrite was dropped.');
        void this.reject();
      }),
    );
    this.shown = { proposal, uri, listeners };
    const [first] = regionsAfter(proposal.changes);
    const preview = await workspace.openTextDocument(uri);
    const selection = first && rangeOf(preview, { start: first.start, end: first.start });
    await commands.executeCommand('setContext', 'dgemma.previewing', true);
    await commands.executeCommand('vscode.diff', document.uri, uri, title(proposal), { preview: true, selection });
  }

  async accept(): Promise<void> {
    const shown = this.shown;
    if (shown === undefined) return;
    const made = await shown.proposal.make();
    await this.close(shown);
    if (!made) void window.showWarningMessage('dgemma: The edit could not be made.');
    await window.showTextDocument(shown.proposal.document, { preview: false });
  }

  async reject(): Promise<void> {
    const shown = this.shown;
    if (shown === undefined) return;
    await this.close(shown);
    if (!shown.proposal.document.isClosed) await window.showTextDocument(shown.proposal.document, { preview: false });
  }

  dispose(): void {
    this.forget();
    Disposable.from(this.redrawn, this.listeners).dispose();
  }

  private async close(shown: Shown): Promise<void> {
    const tabs = window.tabGroups.all.flatMap((group) => group.tabs).filter(({ input }) => this.isOurs(input));
    this.forget(shown);
    await window.tabGroups.close(tabs);
  }

  private forget(shown = this.shown): void {
    shown?.listeners.dispose();
    this.shown = undefined;
    void commands.executeCommand('setContext', 'dgemma.previewing', false);
  }

  private isOurs(input: unknown): boolean {
    return input instanceof TabInputTextDiff && input.modified.toString() === this.shown?.uri.toString();
  }
}

interface Shown {
  readonly proposal: Proposal;
  readonly uri: Uri;
  readonly listeners: Disposable;
}

function title({ title: action, document }: Proposal): string {
  const name = document.uri.path.split('/').at(-1) ?? '';
  const keys = process.platform === 'darwin' ? '⌘⏎' : 'Ctrl+Enter';
  return `${name}: ${action} (${keys} accepts, Esc rejects)`;
}
