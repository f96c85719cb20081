// Reaps the orphans of containers that a subreaper inherits (PR_SET_CHILD_SUBREAPER).
#ifndef FASTCONTAINER_LIB_RUNTIME_REAPER_H_
#define FASTCONTAINER_LIB_RUNTIME_REAPER_H_

#include <sys/types.h>

#include "absl/functional/any_invocable.h"
#include "fastcontainer/reactor.h"

namespace fastcontainer {

class OrphanReaper {
 public:
  using IsLeader = absl::AnyInvocable<bool(pid_t)>;

  // Makes this process a subreaper and looks for dead children each second. What a container started was
  // never in this process's session, and cannot join it; so a dead child in another session is an orphan of a
  // container, and one in this session is the embedding program's, which waits for it itself. Leaders are
  // left alone: their pidfd tells of their death.
  OrphanReaper(Reactor& reactor, IsLeader is_leader);
  ~OrphanReaper();
  OrphanReaper(const OrphanReaper&) = delete;
  OrphanReaper& operator=(const OrphanReaper&) = delete;

  void Sweep();

 private:
  void Tick();

  Reactor& reactor_;
  IsLeader is_leader_;
  Reactor::TimerId timer_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_RUNTIME_REAPER_H_
