// The language server's life: found, started, watched, started again. Says what it is doing; shows no messages.

import { createInterface } from 'node:readline';
import { type Disposable, EventEmitter, type LogOutputChannel, commands } from 'vscode';
import {
  CloseAction, DidChangeConfigurationNotification, ErrorAction, LanguageClient, type LanguageClientOptions, type Middleware,
  RevealOutputChannelOn, ShowMessageNotification, State,
} from 'vscode-languageclient/node';
import { PROOFREAD } from './actions';
import type { Found } from './locate';
import { ServerProcess } from './process';
import { searchServer } from './search';
import { SECTION, type ServerSettings, isEnabled, workspaceFolder } from './settings';
import type { Status } from './status';

/** What cannot be helped without the user. */
export type Trouble =
  | { readonly kind: 'missing'; readonly named: string | undefined }
  | { readonly kind: 'broken'; readonly program: string }
  | { readonly kind: 'crash'; readonly words: string }
  | { readonly kind: 'message'; readonly words: string };

/** A server that ends this often within so long is not started again by itself. */
const MOST_CRASHES = 3;
const CRASHES_WITHIN_MS = 180_000;

const GRACE_MS = 1000;

export class Server implements Disposable {
  private readonly statusChanged = new EventEmitter<Status>();
  private readonly troubled = new EventEmitter<Trouble>();
  private running: LanguageClient | undefined;
  private crashes: number[] = [];
  private turn: Promise<void> = Promise.resolve();

  readonly onStatus = this.statusChanged.event;
  readonly onTrouble = this.troubled.event;

  /** The command that is or was running. */
  found: Found | undefined;
  last: Status = { state: 'starting' };

  constructor(
    readonly log: LogOutputChannel,
    private readonly settings: ServerSettings,
    private readonly middleware: Middleware,
  ) {}

  /** Undefined while no server answers. */
  get client(): LanguageClient | undefined {
    return this.running?.state === State.Running ? this.running : undefined;
  }

  /** Start it, or end it and start it again; one after the other, however often it is called. */
  restart(): Promise<void> {
    this.crashes = [];
    return this.queue(() => this.beginAnew());
  }

  stop(): Promise<void> {
    return this.queue(() => this.end());
  }

  /** Restart if another command is the right one now. */
  async refind(): Promise<void> {
    const { found } = await searchServer();
    if (found?.command.join('\0') !== this.found?.command.join('\0')) await this.restart();
  }

  tellSettings(): void {
    const settings = { [SECTION]: this.settings.collect() };
    void this.client?.sendNotification(DidChangeConfigurationNotification.type, { settings });
  }

  dispose(): void {
    for (const one of [this.statusChanged, this.troubled]) one.dispose();
  }

  private queue(work: () => Promise<void>): Promise<void> {
    this.turn = this.turn.then(work, work);
    return this.turn;
  }

  private async beginAnew(): Promise<void> {
    await this.end();
    await this.begin();
  }

  private async begin(): Promise<void> {
    if (!isEnabled()) {
      this.tell({ state: 'off', message: 'the setting dgemma.enable is off' });
      return;
    }
    this.tell({ state: 'starting' });
    const { found, looked } = await searchServer();
    this.found = found;
    if (found === undefined) {
      this.log.warn(`No server was found. Places searched:\n${looked.join('\n')}`);
      this.tell({ state: 'missing', message: 'dgemma-lsp is not installed' });
      this.troubled.fire({ kind: 'missing', named: named(looked) });
      return;
    }
    await this.launch(found);
  }

  private async launch(found: Found): Promise<void> {
    this.log.info(`Starting ${found.command.join(' ')} (found by ${found.origin})`);
    const process = new ServerProcess([...found.command, '--stdio'], workspaceFolder());
    const client = new QuietClient(SECTION, 'dgemma', () => process.start(), this.options(process));
    this.running = client;
    client.registerFeature({
      // The server tells what it is doing only to an editor that shows it.
      fillClientCapabilities: (capabilities) => { capabilities.experimental = { dgemmaStatus: true }; },
      initialize: () => undefined,
      getState: () => ({ kind: 'static' }),
      clear: () => undefined,
    });
    client.onNotification('dgemma/status', (said: ServerStatus) => { this.tell(status(said)); });
    client.onNotification(ShowMessageNotification.type, ({ message }) => {
      this.troubled.fire({ kind: 'message', words: message });
    });
    try {
      await client.start();
      this.setRunning(true);
      const able = client.initializeResult?.capabilities.executeCommandProvider?.commands.includes(PROOFREAD);
      void commands.executeCommand('setContext', 'dgemma.proofreads', able === true);
      this.log.info('The server answers.');
    } catch (error) {
      await this.bury(client, process, error);
    }
  }

  private options(process: ServerProcess): LanguageClientOptions & { stdioOptions: StdioOptions } {
    return {
      documentSelector: [{ scheme: 'file' }, { scheme: 'untitled' }],
      outputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationOptions: () => this.settings.collect(),
      initializationFailedHandler: () => false,
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: async () => {
          if (this.client !== undefined) await this.revive(process);
          return { action: CloseAction.DoNotRestart, handled: true, message: 'The server closed its connection.' };
        },
      },
      middleware: { ...this.middleware, workspace: this.answers },
      textSynchronization: { delayOpenNotifications: true },
      stdioOptions: {
        stdout: () => undefined,
        stderr: (input) => {
          createInterface({ input }).on('line', (line) => {
            process.note(line);
            this.log.warn(line);
          });
        },
      },
    };
  }

  /** What the server asks of the configuration; changes are told by `tellSettings` alone. */
  private readonly answers: NonNullable<Middleware['workspace']> = {
    configuration: async (params, token, next) => {
      const values = await next(params, token);
      if (!Array.isArray(values)) return values;
      return values.map((value: unknown, index) => (params.items[index]?.section === SECTION ? this.settings.collect() : value));
    },
    didChangeConfiguration: () => Promise.resolve(),
  };

  /** The server has ended by itself. */
  private async revive(process: ServerProcess): Promise<void> {
    await process.ended(GRACE_MS);
    this.setRunning(false);
    const now = Date.now();
    this.crashes = [...this.crashes.filter((then) => now - then < CRASHES_WITHIN_MS), now];
    this.log.error(`The server ${process.obituary()}.`);
    if (this.crashes.length > MOST_CRASHES) {
      this.fail(`The server ${process.obituary()}, ${this.crashes.length} times in a row.`);
    } else {
      // After the client has noticed, too, that its server is gone.
      setTimeout(() => void this.queue(() => this.beginAnew()), 0);
    }
  }

  private async bury(client: LanguageClient, process: ServerProcess, error: unknown): Promise<void> {
    await process.ended(GRACE_MS);
    this.running = undefined;
    await client.dispose().catch(() => undefined);
    this.log.error(`The server could not be started: ${String(error)}`);
    // Its program was found: what is missing is the interpreter that its first line names.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') this.lament(process.program);
    else this.fail(error instanceof Error && 'syscall' in error ? error.message : `The server ${process.obituary()}.`);
  }

  private lament(program: string): void {
    this.tell({ state: 'error', message: `the Python of ${program} is gone` });
    this.troubled.fire({ kind: 'broken', program });
  }

  private fail(words: string): void {
    this.tell({ state: 'error', message: words });
    this.troubled.fire({ kind: 'crash', words });
  }

  private async end(): Promise<void> {
    const client = this.running;
    this.running = undefined;
    this.setRunning(false);
    await client?.dispose().catch((error: unknown) => { this.log.warn(`The server did not stop cleanly: ${String(error)}`); });
  }

  private setRunning(running: boolean): void {
    void commands.executeCommand('setContext', 'dgemma.running', running);
  }

  private tell(status: Status): void {
    this.last = status;
    this.statusChanged.fire(status);
  }
}

/** Its errors go to the log; what the user is to know, `Troubles` says once, with a button that helps. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

interface ServerStatus {
  readonly state: 'loading' | 'ready' | 'filling' | 'silent' | 'error';
  readonly reason?: string;
  readonly advice?: string;
}

type StdioOptions = NonNullable<import('vscode-languageclient/node').LanguageClientOptions['stdioOptions']>;

function status({ state, reason, advice }: ServerStatus): Status {
  return { state, message: reason ?? advice ?? '' };
}

/** The command of the setting, when that is what was looked for. */
function named(looked: readonly string[]): string | undefined {
  const [first] = looked;
  return first?.endsWith('(the setting dgemma.server.command)') ? first.replace(/ \(the setting .*$/, '') : undefined;
}
