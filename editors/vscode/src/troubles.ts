// One message for each thing that is wrong, with the button that mends it.

import {
  type Disposable, ShellExecution, Task, TaskScope, commands, env, tasks, window, workspace,
} from 'vscode';
import { howToInstall, machine } from './search';
import type { Server, Trouble } from './server';
import { SECTION } from './settings';

type Choices = Readonly<Record<string, () => unknown>>;

export class Troubles implements Disposable {
  private readonly listeners: Disposable[];
  /** Messages that are on the screen, or have been answered: errors tend to come again. */
  private readonly shown = new Set<string>();

  constructor(private readonly server: Server) {
    this.listeners = [
      server.onTrouble((trouble) => { this.show(trouble); }),
      tasks.onDidEndTaskProcess(({ execution, exitCode }) => {
        if (execution.task.source === SECTION && exitCode === 0) void this.server.restart();
      }),
    ];
  }

  /** Offer to install the server, whether or not it has been offered before. */
  offerToInstall(): void {
    this.offer(`The language server dgemma-lsp is not installed on ${machine()}. You can install it with:`, howToInstall());
  }

  /** The user wants it again: what was said before may be said again. */
  forget(): void {
    this.shown.clear();
  }

  dispose(): void {
    for (const one of this.listeners) one.dispose();
  }

  /** An upgrade of Python leaves such programs behind. */
  private offerToRepair(program: string): void {
    const what = `${program} cannot be started: the Python it was installed for is gone.`;
    this.offer(`${what} You can reinstall it with:`, `${howToInstall()} --force`);
  }

  private offer(what: string, command: string): void {
    this.ask(`${what} ${command}`, {
      'Run in Terminal': () => install(command),
      'Copy Command': () => env.clipboard.writeText(command),
      'Name Its Command…': () => openSettings('dgemma.server.command'),
    });
  }

  private show(trouble: Trouble): void {
    const key = JSON.stringify(trouble);
    if (this.shown.has(key)) return;
    this.shown.add(key);
    switch (trouble.kind) {
      case 'missing':
        if (trouble.named === undefined) this.offerToInstall();
        else this.tellNoProgram(trouble.named);
        return;
      case 'broken':
        this.offerToRepair(trouble.program);
        return;
      case 'crash':
        this.ask(`dgemma: ${trouble.words}`, {
          'Restart': () => this.server.restart(),
          'Show Log': () => { this.server.log.show(); },
          'Doctor': () => commands.executeCommand('dgemma.doctor'),
        });
        return;
      case 'message':
        this.tellMessage(trouble.words);
    }
  }

  private tellNoProgram(program: string): void {
    this.ask(`The setting dgemma.server.command names ${program}, which does not exist.`, {
      'Open Setting': () => openSettings('dgemma.server.command'),
    });
  }

  private tellMessage(words: string): void {
    const setting = /^(?:Setting|There is no setting) ([\w.]+)/.exec(words)?.[1];
    if (setting === undefined) this.ask(`dgemma: ${words}`, { 'Show Log': () => { this.server.log.show(); } });
    else this.ask(`dgemma: ${words}`, { 'Open Setting': () => openSettings(`${SECTION}.${setting}`) });
  }

  private ask(message: string, choices: Choices): void {
    void window.showWarningMessage(message, ...Object.keys(choices)).then((choice) => {
      if (choice !== undefined) return choices[choice]?.();
      return undefined;
    });
  }
}

/** In a terminal that the user sees; the server is started when it has succeeded. */
function install(command: string): Thenable<unknown> {
  const task = new Task({ type: 'shell' }, TaskScope.Workspace, 'install dgemma-lsp', SECTION, new ShellExecution(command));
  return tasks.executeTask(task);
}

/** The page of a setting, in the tab where it has been chosen; of all of ours when none is named. */
export function openSettings(name = '@ext:dgemma.dgemma'): Thenable<unknown> {
  const chosen = workspace.getConfiguration().inspect(name);
  const tab = chosen?.workspaceValue === undefined ? 'openSettings' : 'openWorkspaceSettings';
  return commands.executeCommand(`workbench.action.${tab}`, { query: name });
}
