// A whole CMDB at once: what is in it, and making it another.
#ifndef FASTCONTAINER_EXAMPLES_FCCTL_STORE_H_
#define FASTCONTAINER_EXAMPLES_FCCTL_STORE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "examples/fcctl/archive.h"
#include "examples/fcctl/commands.h"

// All records of one revision but those with a lease. What is not JSON has a null value.
struct Store {
  uint64_t revision = 0;
  Records values;
  std::map<std::string, uint64_t> revisions;
};
Answer ReadStore(Session& session, Store* store);

// What is done to records, by kind, for people.
struct Counts {
  uint64_t created = 0, updated = 0, deleted = 0, unchanged = 0;
};
using Summary = std::map<uint32_t, Counts>;

// The changes that make `from` what `to` says, in an order in which nothing names what is not there yet.
std::vector<Change> Difference(const Store& from, const Records& to, Summary* summary);
// In batches that every store takes. On FC_E_CONFLICT and FC_E_UNKNOWN_OUTCOME some of them may have been
// applied.
Answer WriteChanges(Session& session, const std::vector<Change>& changes);
void PrintSummary(Command command, const Summary& summary);

// The epochs that follow a restore begin here: the seconds of the wall clock. No container is relocated once
// a second for all of its life, so this is above every epoch that was handed out and that the backup may
// lack. FC_E_INVALID: the clock is behind the newest placement.
Answer FirstEpochAfterRestore(const Records& records, uint64_t* epoch);
// Makes `records` what may be served after a restore: each epoch is `epoch` at least, each container has a
// placement (perhaps a tombstone) that keeps it there, and of those with "writers":"single" a copy may run on
// any host. The count at kRestoredKey becomes `count`.
void MakeRestored(uint64_t epoch, uint64_t count, Records* records);
// To be written first: that a host has no heartbeat proves nothing for as long as it may hold one of the
// history that is no more. Whoever has none gets one for that time; its dispatcher replaces it.
Answer PutHeartbeats(Session& session, const Records& records);
uint64_t RestoredCount(const Records& records);

#endif  // FASTCONTAINER_EXAMPLES_FCCTL_STORE_H_
