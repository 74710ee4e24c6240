/* Threads that sleep between passes. The caller is one of them. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "quantized.h"

enum { PATIENCE = 2000 }; /* looks before a waiting thread lets others have its core */

/* How far a thread's own share of the units is done; a cache line for each. */
typedef struct {
  _Alignas(64) atomic_int next;
} Progress;

struct Team {
  pthread_mutex_t lock;
  pthread_cond_t begun, ended;
  pthread_t *threads;
  int count, working, stop; /* threads beside the caller's; how many of them are at work */
  unsigned round;
  void (*work)(const void *what, int thread);
  const void *what;
  Progress *progress; /* [threads] */
  atomic_int arrived;
  atomic_uint turn;
};

typedef struct {
  Team *team;
  int thread;
} Member;

static void *serve(void *argument) {
  Member member = *(Member *)argument;
  Team *team = member.team;
  free(argument);
  unsigned seen = 0;
  pthread_mutex_lock(&team->lock);
  for (;;) {
    while (team->round == seen && !team->stop) pthread_cond_wait(&team->begun, &team->lock);
    if (team->stop) break;
    seen = team->round;
    pthread_mutex_unlock(&team->lock);
    team->work(team->what, member.thread);
    pthread_mutex_lock(&team->lock);
    if (--team->working == 0) pthread_cond_signal(&team->ended);
  }
  pthread_mutex_unlock(&team->lock);
  return NULL;
}

static int hire(Team *team, int thread) {
  Member *member = malloc(sizeof *member);
  if (!member) return 0;
  *member = (Member){team, thread};
  if (!pthread_create(&team->threads[team->count], NULL, serve, member)) return 1;
  free(member);
  return 0;
}

Team *team_open(int threads) {
  Team *team = calloc(1, sizeof *team);
  if (!team) return NULL;
  pthread_mutex_init(&team->lock, NULL);
  pthread_cond_init(&team->begun, NULL);
  pthread_cond_init(&team->ended, NULL);
  team->threads = calloc(threads, sizeof *team->threads);
  team->progress = aligned(threads * sizeof *team->progress);
  if (!team->threads || !team->progress) {
    team_close(team);
    return NULL;
  }
  for (int i = 1; i < threads; i++) {
    if (!hire(team, i)) break; /* fewer threads do it too */
    team->count++;
  }
  return team;
}

void team_close(Team *team) {
  if (!team) return;
  pthread_mutex_lock(&team->lock);
  team->stop = 1;
  pthread_cond_broadcast(&team->begun);
  pthread_mutex_unlock(&team->lock);
  for (int i = 0; i < team->count; i++) pthread_join(team->threads[i], NULL);
  pthread_cond_destroy(&team->begun);
  pthread_cond_destroy(&team->ended);
  pthread_mutex_destroy(&team->lock);
  free(team->threads);
  free(team->progress);
  free(team);
}

int team_size(const Team *team) { return team->count + 1; }

static void begin_units(Team *team) {
  for (int i = 0; i <= team->count; i++) atomic_store(&team->progress[i].next, 0);
}

void team_run(Team *team, void (*work)(const void *, int), const void *what) {
  begin_units(team);
  if (team->count) {
    pthread_mutex_lock(&team->lock);
    team->work = work, team->what = what;
    team->working = team->count;
    team->round++;
    pthread_cond_broadcast(&team->begun);
    pthread_mutex_unlock(&team->lock);
  }
  work(what, 0);
  if (!team->count) return;
  pthread_mutex_lock(&team->lock);
  while (team->working) pthread_cond_wait(&team->ended, &team->lock);
  pthread_mutex_unlock(&team->lock);
}

int team_take(Team *team, int thread, int count) {
  int64_t threads = team->count + 1;
  for (int64_t i = 0; i < threads; i++) {
    int64_t owner = (thread + i) % threads, first = count * owner / threads, last = count * (owner + 1) / threads;
    if (first + atomic_load(&team->progress[owner].next) >= last) continue;
    int64_t unit = first + atomic_fetch_add(&team->progress[owner].next, 1);
    if (unit < last) return (int)unit;
  }
  return count;
}

void team_meet(Team *team) {
  unsigned turn = atomic_load(&team->turn);
  if (atomic_fetch_add(&team->arrived, 1) == team->count) {
    atomic_store(&team->arrived, 0);
    begin_units(team);
    atomic_store(&team->turn, turn + 1);
    return;
  }
  for (int looks = 0; atomic_load(&team->turn) == turn; looks++)
    if (looks > PATIENCE) sched_yield(); /* on a busy machine the last one may be waiting for this core */
}
