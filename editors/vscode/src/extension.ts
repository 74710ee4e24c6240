// Puts the parts together. Each of them says what it does; here is only what leads to what.

import {
  type Disposable, type ExtensionContext, InlineCompletionTriggerKind, type TextDocument, type TextEditor, commands, window, workspace,
} from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';
import { Actions, TAKE_UP } from './actions';
import { Doctor } from './doctor';
import { showMenu } from './menu';
import { Pauses } from './pauses';
import { Previews } from './preview';
import type { ActionName, Offer } from './proposals';
import { onDidChangeEnvironment } from './python';
import { Review } from './review';
import { Server } from './server';
import { SECTION, ServerSettings } from './settings';
import { StatusBar } from './status';
import { Troubles, openSettings } from './troubles';

type Handlers = Readonly<Record<string, (...args: never[]) => unknown>>;

let server: Server | undefined;

export function activate(context: ExtensionContext): void {
  const log = window.createOutputChannel('dgemma', { log: true });
  const pauses = new Pauses(context.globalState);
  const previews = new Previews();
  const review = new Review();
  const actions = new Actions(() => server?.client, previews, review);
  const started = new Server(log, new ServerSettings(context), { ...actions.middleware, ...quietWhere(pauses) });
  server = started;
  const status = new StatusBar(pauses);
  const troubles = new Troubles(started);
  const doctor = new Doctor(context, started);
  context.subscriptions.push(
    log, pauses, previews, review, actions, started, status, troubles, doctor,
    started.onStatus((said) => { status.show(said); }),
    ...registered(editing(actions, previews, review)),
    ...registered(pausing(pauses)),
    ...registered(helping(context.extension.id, started, pauses, troubles)),
    commands.registerCommand('dgemma.doctor', () => doctor.show()),
    ...watched(started, troubles),
  );
  void started.restart();
}

/** The server ends with us. */
export async function deactivate(): Promise<void> {
  await server?.stop();
}

/** While paused, or while something is selected, nothing comes by itself; whoever asks is answered. */
function quietWhere(pauses: Pauses): Middleware {
  return {
    provideInlineCompletionItems: (document, position, context, token, next) => {
      const automatic = context.triggerKind === InlineCompletionTriggerKind.Automatic;
      const quiet = pauses.reason(document) !== undefined || isSelecting(document);
      return automatic && quiet ? undefined : next(document, position, context, token);
    },
  };
}

/** VS Code asks in the placeholders of a snippet, too, and shows nothing of the answer. */
function isSelecting(document: TextDocument): boolean {
  const editor = window.activeTextEditor;
  return editor?.document === document && !editor.selection.isEmpty;
}

function editing(actions: Actions, previews: Previews, review: Review): Handlers {
  const action = (name: ActionName) => () => inEditor((editor) => actions.perform(editor, name));
  return {
    'dgemma.trigger': () => commands.executeCommand('editor.action.inlineSuggest.trigger'),
    'dgemma.rewriteSelection': action('REWRITE'),
    'dgemma.rewriteWithInstruction': action('INSTRUCT'),
    'dgemma.fillFile': action('FILL_FILE'),
    'dgemma.fillFunction': action('FILL_FUNCTION'),
    'dgemma.proofreadFile': () => inEditor((editor) => actions.proofread(editor)),
    'dgemma.cancel': () => { actions.cancel(); },
    [TAKE_UP]: (offer: Offer) => actions.takeUp(offer),
    'dgemma.preview.accept': () => previews.accept(),
    'dgemma.preview.reject': () => previews.reject(),
    'dgemma.review.next': () => review.step(1),
    'dgemma.review.previous': () => review.step(-1),
    'dgemma.review.keep': (index?: number) => review.keep(index),
    'dgemma.review.reject': (index?: number) => review.reject(index),
    'dgemma.review.keepAll': () => { review.keepAll(); },
    'dgemma.review.rejectAll': () => review.rejectAll(),
  };
}

function pausing(pauses: Pauses): Handlers {
  return {
    'dgemma.pauseDocument': () => inEditor(({ document }) => { pauses.pauseDocument(document); }),
    'dgemma.pauseLanguage': () => inEditor(({ document }) => pauses.pauseLanguage(document.languageId)),
    'dgemma.pauseEverywhere': () => pauses.pauseEverywhere(),
    'dgemma.resume': () => pauses.resume(window.activeTextEditor?.document),
  };
}

function helping(extension: string, running: Server, pauses: Pauses, troubles: Troubles): Handlers {
  return {
    'dgemma.restart': () => {
      troubles.forget();
      return running.restart();
    },
    'dgemma.install': () => { troubles.offerToInstall(); },
    'dgemma.showLog': () => { running.log.show(); },
    'dgemma.settings': () => openSettings(),
    'dgemma.walkthrough': () => commands.executeCommand('workbench.action.openWalkthrough', `${extension}#start`),
    'dgemma.menu': () => showMenu(running, pauses),
  };
}

/** What else makes another server, or other settings, the right ones. */
function watched(running: Server, troubles: Troubles): Disposable[] {
  return [
    onDidChangeEnvironment(() => void running.refind()),
    workspace.onDidGrantWorkspaceTrust(() => void running.refind()),
    workspace.onDidChangeConfiguration((event) => {
      if (!event.affectsConfiguration(SECTION)) return;
      troubles.forget();
      const another = ['server', 'enable'].some((name) => event.affectsConfiguration(`${SECTION}.${name}`));
      if (another) void running.restart();
      else running.tellSettings();
    }),
  ];
}

function registered(handlers: Handlers): Disposable[] {
  return Object.entries(handlers).map(([name, handler]) => commands.registerCommand(name, handler));
}

async function inEditor(work: (editor: TextEditor) => unknown): Promise<void> {
  const editor = window.activeTextEditor;
  if (editor !== undefined) await work(editor);
}
