// The region of a rewrite while the canvas denoises: its text fades, the newest draft stands behind it.

import { type Disposable, type Range, type TextEditor, ThemeColor, window } from 'vscode';
import { type LanguageClient, ProgressType } from 'vscode-languageclient/node';

/** What the server sends after each denoising step. */
interface Draft {
  readonly texts: readonly string[];
}

/** A longer draft is cut: a decoration has but one line. */
const MOST_CHARACTERS = 100;

const DRAFTS = new ProgressType<Draft>();

export class Drafts implements Disposable {
  private static count = 0;

  /** Goes into the data of the code action that is taken up. */
  readonly token = `dgemma-drafts-${++Drafts.count}`;

  private readonly faded = window.createTextEditorDecorationType({ opacity: '0.35' });
  private readonly listener: Disposable;

  constructor(client: LanguageClient, private readonly editor: TextEditor, private readonly range: Range) {
    this.listener = client.onProgress(DRAFTS, this.token, ({ texts }) => { this.draw(texts.join(' … ')); });
  }

  dispose(): void {
    this.listener.dispose();
    this.faded.dispose();
  }

  private draw(text: string): void {
    const line = text.replaceAll(/\s*\n\s*/g, ' ⏎ ');
    const contentText = line.length > MOST_CHARACTERS ? `${line.slice(0, MOST_CHARACTERS)}…` : line;
    const color = new ThemeColor('editorGhostText.foreground');
    const after = { contentText, color, fontStyle: 'italic', margin: '0 0 0 1ch' };
    this.editor.setDecorations(this.faded, [{ range: this.range, renderOptions: { after } }]);
  }
}
