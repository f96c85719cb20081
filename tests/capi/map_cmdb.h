/* A CMDB of one's own: a sorted array in C. It answers inside the vtable's call, or from a thread of its own.
 */
#ifndef FASTCONTAINER_TESTS_CAPI_MAP_CMDB_H_
#define FASTCONTAINER_TESTS_CAPI_MAP_CMDB_H_

#include <pthread.h>

#include "fixture.h"

enum { kMostRecords = 64, kMostWatches = 1024, kMostAnswers = 4096 };

typedef struct map_record {
  char key[256];
  char value[4096];
  uint64_t revision;
} map_record;

/* An answer on its way; the strings are copies. */
typedef struct map_answer {
  fc_op op;
  fc_result result;
  fc_record* records;
} map_answer;

typedef struct map_watch {
  fc_op op;
  char prefix[256];
} map_watch;

typedef struct map_cmdb {
  fc_engine** engine;
  int own_thread; /* not 0: answers come from a thread */
  int fail_gets;  /* not 0: a negative return, so many times */
  uint64_t revision;
  map_record records[kMostRecords];
  int record_count;
  map_watch watches[kMostWatches];
  int watch_count;
  int calls, cancels, destroyed;
  /* The thread and its queue. */
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t ready;
  map_answer* answers;
  int answer_count;
  int stopping;
} map_cmdb;

extern const fc_cmdb_vtable kMapCmdb;
map_cmdb* make_map(fc_engine** engine, int own_thread);
/* Waits until everything is answered; to be called before the engine is destroyed. */
void stop_answers(map_cmdb* map);
void free_map(map_cmdb* map);

#endif /* FASTCONTAINER_TESTS_CAPI_MAP_CMDB_H_ */
