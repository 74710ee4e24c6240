// What the server is doing, in the status bar.

import { type Disposable, MarkdownString, StatusBarAlignment, type StatusBarItem, ThemeColor, window } from 'vscode';
import type { Pauses } from './pauses';

/** As dgemma/status says it, and what only we know: that there is no server. */
export type State = 'starting' | 'loading' | 'ready' | 'filling' | 'silent' | 'error' | 'missing' | 'off';

export interface Status {
  readonly state: State;
  /** Why it is silent, or what is wrong and what can be done. */
  readonly message?: string;
}

interface Look {
  readonly icon: string;
  readonly words: string;
  readonly color?: string;
}

const LOOKS: Readonly<Record<State, Look>> = {
  starting: { icon: '$(loading~spin)', words: 'starting the server' },
  loading: { icon: '$(loading~spin)', words: 'loading the model' },
  ready: { icon: '$(check)', words: 'ready' },
  filling: { icon: '$(sync~spin)', words: 'filling' },
  silent: { icon: '$(check)', words: 'no suggestion' },
  error: { icon: '$(error)', words: 'failed', color: 'statusBarItem.errorBackground' },
  missing: { icon: '$(warning)', words: 'no server', color: 'statusBarItem.warningBackground' },
  off: { icon: '$(circle-slash)', words: 'off' },
};

const PAUSED: Look = { icon: '$(debug-pause)', words: 'paused' };

export class StatusBar implements Disposable {
  private readonly item: StatusBarItem;
  private readonly listeners: Disposable[];
  private status: Status = { state: 'starting' };

  constructor(private readonly pauses: Pauses) {
    this.item = window.createStatusBarItem('dgemma.status', StatusBarAlignment.Right, 90);
    this.item.name = 'dgemma';
    this.item.command = 'dgemma.menu';
    this.listeners = [
      pauses.onDidChange(() => { this.draw(); }),
      window.onDidChangeActiveTextEditor(() => { this.draw(); }),
    ];
    this.draw();
    this.item.show();
  }

  show(status: Status): void {
    this.status = status;
    this.draw();
  }

  dispose(): void {
    for (const one of [this.item, ...this.listeners]) one.dispose();
  }

  private draw(): void {
    const works = !['missing', 'error', 'off'].includes(this.status.state);
    const pause = works ? this.pauses.reason(window.activeTextEditor?.document) : undefined;
    const look = pause === undefined ? LOOKS[this.status.state] : PAUSED;
    const why = pause ?? this.status.message;
    this.item.text = `${look.icon} dgemma`;
    this.item.backgroundColor = look.color === undefined ? undefined : new ThemeColor(look.color);
    this.item.accessibilityInformation = { label: said('dgemma', look.words, why) };
    this.item.tooltip = new MarkdownString(said('**dgemma**', look.words, why)).appendMarkdown('\n\nClick for more.');
  }
}

function said(name: string, words: string, why: string | undefined): string {
  return why === undefined || why === '' ? `${name}: ${words}` : `${name}: ${words}: ${why}`;
}
