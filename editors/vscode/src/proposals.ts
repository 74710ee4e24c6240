// What the server would change: asked for as a code action, kept up to date while the user types elsewhere.

import {
  type CancellationToken, Disposable, EventEmitter, Range, type TextDocument, type TextDocumentChangeEvent, Uri,
  WorkspaceEdit, workspace,
} from 'vscode';
import {
  type CodeAction, CodeActionRequest, CodeActionResolveRequest, CodeActionTriggerKind, type LanguageClient,
  type WorkspaceEdit as ServerEdit,
} from 'vscode-languageclient/node';
import { type Change, changed, rebased } from './regions';

/** The names that the server gives to its actions, in their data. */
export type ActionName = 'REWRITE' | 'INSTRUCT' | 'FILL_FILE' | 'FILL_FUNCTION';

/** A code action of the server that it can compute later. */
export interface Offer {
  readonly title: string;
  readonly data: { readonly action: string; readonly uri: string; readonly instruction?: string };
  readonly kind?: string;
  /** Why it cannot be done now. */
  readonly disabled?: { readonly reason: string };
}

export function isOffer(action: object): action is Offer {
  const { data } = action as { readonly data?: Partial<Offer['data']> | null };
  return typeof data?.action === 'string' && typeof data.uri === 'string';
}

/** What the server offers to do with a range, without doing it. */
export async function offers(client: LanguageClient, document: TextDocument, range: Range): Promise<Offer[]> {
  const actions = await client.sendRequest(CodeActionRequest.type, {
    textDocument: { uri: client.code2ProtocolConverter.asUri(document.uri) },
    range: client.code2ProtocolConverter.asRange(range),
    context: { diagnostics: [], only: ['refactor.rewrite'], triggerKind: CodeActionTriggerKind.Invoked },
  });
  return (actions ?? []).filter(isOffer);
}

/** Changes of a document that have not been made yet. It ends when they are made, or can no longer be made. */
export class Proposal implements Disposable {
  private readonly moved = new EventEmitter<undefined>();
  private readonly ended = new EventEmitter<undefined>();
  private readonly listener: Disposable;

  /** The changes are at other offsets, or the text around them is another one. */
  readonly onDidChange = this.moved.event;
  /** The text that was to be changed is no longer there. */
  readonly onDidEnd = this.ended.event;

  private constructor(
    readonly title: string,
    readonly document: TextDocument,
    public changes: readonly Change[],
  ) {
    this.listener = Disposable.from(
      workspace.onDidChangeTextDocument((event) => { this.follow(event); }),
      workspace.onDidCloseTextDocument((closed) => {
        if (closed === document) this.ended.fire(undefined);
      }),
    );
  }

  /** Let the server compute what it has offered; rejects with the server's words when it cannot. */
  static async of(client: LanguageClient, offer: Offer, token: CancellationToken): Promise<Proposal> {
    const document = await workspace.openTextDocument(client.protocol2CodeConverter.asUri(offer.data.uri));
    const version = document.version;
    const action = await client.sendRequest(CodeActionResolveRequest.type, offer as CodeAction, token);
    // The server follows what is typed while it computes, but its answer may have crossed a change.
    if (document.version !== (versionOf(action.edit) ?? version)) {
      throw new Error('The document has changed in the meantime; try again.');
    }
    return new Proposal(offer.title, document, changesOf(client, action.edit, document));
  }

  /** The document with all changes made. */
  get result(): string {
    return changed(this.document.getText(), this.changes);
  }

  /** Make the changes, as one step that can be undone. */
  async make(): Promise<boolean> {
    const edit = new WorkspaceEdit();
    for (const { start, end, text } of this.changes) {
      edit.replace(this.document.uri, rangeOf(this.document, { start, end }), text);
    }
    this.listener.dispose();
    return workspace.applyEdit(edit);
  }

  dispose(): void {
    for (const one of [this.moved, this.ended, this.listener]) one.dispose();
  }

  private follow(event: TextDocumentChangeEvent): void {
    if (event.document !== this.document || event.contentChanges.length === 0) return;
    for (const made of madeIn(event)) {
      const changes = rebased(this.changes, made);
      if (changes === undefined) {
        this.ended.fire(undefined);
        return;
      }
      this.changes = changes;
    }
    this.moved.fire(undefined);
  }
}

/** What the user has changed, one after the other. */
export function madeIn(event: TextDocumentChangeEvent): Change[] {
  return event.contentChanges.map(({ rangeOffset, rangeLength, text }) => (
    { start: rangeOffset, end: rangeOffset + rangeLength, text }
  ));
}

export function rangeOf(document: TextDocument, { start, end }: { readonly start: number; readonly end: number }): Range {
  return new Range(document.positionAt(start), document.positionAt(end));
}

function changesOf(client: LanguageClient, edit: ServerEdit | undefined, document: TextDocument): Change[] {
  const lists = [
    ...Object.entries(edit?.changes ?? {}),
    ...(edit?.documentChanges ?? []).flatMap((one) => ('edits' in one ? [[one.textDocument.uri, one.edits] as const] : [])),
  ];
  return lists
    .filter(([uri]) => Uri.parse(uri).toString() === document.uri.toString())
    .flatMap(([, edits]) => edits)
    .flatMap((one) => ('newText' in one ? [one] : []))
    .map(({ range, newText }) => ({ ...offsets(document, client.protocol2CodeConverter.asRange(range)), text: newText }))
    .sort((one, other) => one.start - other.start);
}

/** The version of the document that an edit belongs to; undefined when it does not say. */
function versionOf(edit: ServerEdit | undefined): number | undefined {
  const [first] = edit?.documentChanges ?? [];
  return first !== undefined && 'edits' in first ? first.textDocument.version ?? undefined : undefined;
}

function offsets(document: TextDocument, range: Range): { start: number; end: number } {
  return { start: document.offsetAt(range.start), end: document.offsetAt(range.end) };
}
