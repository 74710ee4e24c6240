// Takes up what the server offers: waits for it with a way to cancel, then shows or makes the changes.

import {
  type CancellationToken, CancellationTokenSource, type CodeAction, Disposable, ProgressLocation, Range, type TextEditor, commands, window,
} from 'vscode';
import { ExecuteCommandRequest, LSPErrorCodes, type LanguageClient, type Middleware, ResponseError } from 'vscode-languageclient/node';
import { Drafts } from './drafts';
import type { Previews } from './preview';
import { type ActionName, type Offer, Proposal, isOffer, offers } from './proposals';
import type { Review } from './review';
import { preview, showsDrafts } from './settings';

/** Executed by the code actions of the editor's menu. */
export const TAKE_UP = 'dgemma.takeUp';

/** A command of the server. */
export const PROOFREAD = 'dgemma.proofread';

/** What is faster needs no progress bar. */
const PATIENCE_MS = 400;

export class Actions implements Disposable {
  private underWay: CancellationTokenSource | undefined;

  constructor(
    private readonly client: () => LanguageClient | undefined,
    private readonly previews: Previews,
    private readonly review: Review,
  ) {}

  /** The server's code actions lead here, whether they come from the editor's menu or from our commands. */
  readonly middleware: Middleware = {
    provideCodeActions: async (document, range, context, token, next) => {
      const actions = (await next(document, range, context, token)) ?? [];
      this.noteInstructions(actions);
      return actions.map((action) => ('kind' in action && isOffer(action) ? takenUpByUs(action) : action));
    },
    resolveCodeAction: (action, token, next) => (action.command?.command === TAKE_UP ? action : next(action, token)),
  };

  /** Do an action where the user is. */
  async perform(editor: TextEditor, name: ActionName): Promise<void> {
    const client = this.client();
    if (client === undefined) return;
    const range = name === 'FILL_FILE' ? whole(editor) : editor.selection;
    const offered = await offers(client, editor.document, range);
    const offer = offered.find(({ data }) => data.action === name);
    if (offer === undefined) void window.showInformationMessage(`dgemma: ${nothing(name, editor)}`);
    else await this.takeUp(offer);
  }

  /** Let the server read a file; what surprises it becomes hints with quick fixes. */
  async proofread({ document }: TextEditor): Promise<void> {
    const client = this.client();
    const uri = client?.code2ProtocolConverter.asUri(document.uri);
    const wish = { command: PROOFREAD, arguments: [uri] };
    try {
      const hints: unknown = await client?.sendRequest(ExecuteCommandRequest.type, wish);
      void window.showInformationMessage(`dgemma: ${hints === 0 ? 'Nothing looks odd here.' : 'What looks odd is marked.'}`);
    } catch (error) {
      void window.showWarningMessage(`dgemma: ${words(error)}`);
    }
  }

  async takeUp(offer: Offer): Promise<void> {
    const client = this.client();
    if (client === undefined) return;
    if (offer.disabled !== undefined) {
      void window.showInformationMessage(`dgemma: ${offer.disabled.reason}`);
      return;
    }
    const wish = offer.data.action === 'INSTRUCT' ? await instructed(offer) : offer;
    if (wish !== undefined) await this.show(await this.compute(client, wish), wish);
  }

  cancel(): void {
    this.underWay?.cancel();
  }

  dispose(): void {
    this.cancel();
  }

  private async show(proposal: Proposal | undefined, { data }: Offer): Promise<void> {
    if (proposal === undefined) return;
    const compared = { rewrites: !data.action.startsWith('FILL_'), everything: true, nothing: false }[preview()];
    if (compared) await this.previews.show(proposal);
    else await this.review.begin(proposal);
  }

  /** The newest wish wins; undefined when it was cancelled or has failed. */
  private async compute(client: LanguageClient, offer: Offer): Promise<Proposal | undefined> {
    this.cancel();
    const source = new CancellationTokenSource();
    this.underWay = source;
    void commands.executeCommand('setContext', 'dgemma.working', true);
    try {
      return await withProgress(offer.title, source, this.proposal(client, offer, source.token));
    } catch (error) {
      if (!isCancelled(error, source)) void window.showWarningMessage(`dgemma: ${words(error)}`);
      return undefined;
    } finally {
      source.dispose();
      if (this.underWay === source) {
        this.underWay = undefined;
        void commands.executeCommand('setContext', 'dgemma.working', false);
      }
    }
  }

  /** While a selection is rewritten, its drafts are shown. */
  private async proposal(client: LanguageClient, offer: Offer, token: CancellationToken): Promise<Proposal> {
    const editor = window.activeTextEditor;
    const rewrites = offer.data.action.startsWith('REWRITE') || offer.data.action === 'INSTRUCT';
    if (editor === undefined || editor.selection.isEmpty || !rewrites || !showsDrafts()) {
      return Proposal.of(client, offer, token);
    }
    const drafts = new Drafts(client, editor, editor.selection);
    try {
      const data = { ...offer.data, partialResultToken: drafts.token };
      return await Proposal.of(client, { ...offer, data }, token);
    } finally {
      drafts.dispose();
    }
  }

  /** Where a selection can be rewritten it is known, too, whether the model follows instructions. */
  private noteInstructions(actions: readonly object[]): void {
    const names = actions.filter(isOffer).flatMap(({ data, disabled }) => (disabled === undefined ? [data.action] : []));
    if (!names.includes('REWRITE')) return;
    void commands.executeCommand('setContext', 'dgemma.followsInstructions', names.includes('INSTRUCT'));
  }
}

function takenUpByUs(action: CodeAction & Offer): CodeAction {
  const offer: Offer = { title: action.title, data: action.data, kind: 'refactor.rewrite' };
  action.command = { command: TAKE_UP, title: action.title, arguments: [offer] };
  return action;
}

async function instructed(offer: Offer): Promise<Offer | undefined> {
  const instruction = await window.showInputBox({
    title: 'Rewrite the selection',
    prompt: 'How should it change?',
    placeHolder: 'use a dict comprehension',
  });
  return instruction ? { ...offer, data: { ...offer.data, instruction } } : undefined;
}

/** A bar for what takes longer; its button cancels like our command. */
async function withProgress<T>(title: string, source: CancellationTokenSource, work: Promise<T>): Promise<T> {
  const done = await Promise.race([
    work.then(() => true, () => true),
    new Promise<boolean>((resolve) => setTimeout(resolve, PATIENCE_MS, false)),
  ]);
  if (done) return work;
  const options = { location: ProgressLocation.Notification, title: `dgemma: ${title} (Esc cancels)`, cancellable: true };
  return window.withProgress(options, (_, token) => {
    token.onCancellationRequested(() => { source.cancel(); });
    return work;
  });
}

function isCancelled(error: unknown, source: CancellationTokenSource): boolean {
  return source.token.isCancellationRequested
    || (error instanceof ResponseError && error.code === LSPErrorCodes.RequestCancelled);
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function whole({ document }: TextEditor): Range {
  return document.validateRange(new Range(0, 0, document.lineCount, 0));
}

/** Why an action is not offered, as far as the editor can tell. */
function nothing(name: ActionName, { selection, document }: TextEditor): string {
  switch (name) {
    case 'FILL_FILE':
      return `No holes were found in this file, or ${document.languageId} is not one of dgemma's languages.`;
    case 'FILL_FUNCTION':
      return 'No holes were found in a function around the cursor.';
    case 'INSTRUCT':
      return 'This model cannot follow instructions.';
    case 'REWRITE':
      return selection.isEmpty ? 'Select the text to rewrite first.' : 'Nothing can be rewritten here.';
  }
}
