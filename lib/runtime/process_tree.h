// Everything that an instance has started, and how it is ended.
#ifndef FASTCONTAINER_LIB_RUNTIME_PROCESS_TREE_H_
#define FASTCONTAINER_LIB_RUNTIME_PROCESS_TREE_H_

#include <dirent.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "fastcontainer/clock.h"
#include "fastcontainer/reactor.h"
#include "lib/runtime/proc.h"

namespace fastcontainer {

// How the processes of an instance are told from others. With a cgroup that the leader was in: by that alone.
// Without: those in the leader's session, and those whose environment names the instance, so that a daemon
// with a session of its own is found too. Out of reach without a cgroup: a process that has both left the
// session and overwritten its environment.
struct ProcessTree {
  std::string instance;
  std::string cgroup;       // "": none
  pid_t leader = 0;         // 0: not known; then both ways are gone
  uint64_t start_time = 0;  // of the leader; 0: not known
  // False if the leader died unseen: its pid may then name a stranger's session by now.
  bool session_is_certain = false;

  bool Has(const ProcessStat& stat) const;
};

// Sends `signal` if the process is still the one that started then; false if it is gone.
bool SignalProcess(pid_t pid, uint64_t start_time, int signal);

// Ends a tree: SIGTERM to each process, once, until `kill_at`; then SIGKILL, round after round until a whole
// look finds nothing alive. Nothing here blocks: a look at /proc goes on in steps, and rounds follow by
// timer.
class TreeEnd {
 public:
  using Callback = absl::AnyInvocable<void()>;
  // `done` runs once, on the loop, when nothing is left; it may destroy this object.
  TreeEnd(Reactor& reactor, ProcessTree tree, Nanos kill_at, Callback done);
  ~TreeEnd();
  TreeEnd(const TreeEnd&) = delete;
  TreeEnd& operator=(const TreeEnd&) = delete;

  // Brings the kill forward; a later time than before is ignored.
  void KillAt(Nanos at);

 private:
  void StartRound();
  void CgroupRound();
  void ScanStep();
  void Meet(const ProcessStat& stat);
  void MeetAgain();
  void EndRound();

  Reactor& reactor_;
  const ProcessTree tree_;
  Nanos kill_at_;
  Callback done_;
  Nanos delay_;
  Reactor::TimerId timer_ = 0;
  std::unique_ptr<DIR, int (*)(DIR*)> proc_{nullptr, closedir};
  size_t alive_ = 0;                          // found in this round
  absl::flat_hash_map<pid_t, uint64_t> met_;  // has had a signal: pid to start time
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_RUNTIME_PROCESS_TREE_H_
