#include "lib/runtime/reaper.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "lib/runtime/proc.h"

namespace fastcontainer {

OrphanReaper::OrphanReaper(Reactor& reactor, IsLeader is_leader)
    : reactor_(reactor), is_leader_(std::move(is_leader)) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  timer_ = reactor_.After(kSecond, [this] { Tick(); });
}

OrphanReaper::~OrphanReaper() { reactor_.CancelTimer(timer_); }

void OrphanReaper::Tick() {
  Sweep();
  timer_ = reactor_.After(kSecond, [this] { Tick(); });
}

void OrphanReaper::Sweep() {
  const pid_t own_session = getsid(0);
  for (const pid_t pid : OwnChildren()) {
    if (is_leader_(pid)) continue;
    const std::optional<ProcessStat> stat = ReadProcessStat(pid);
    if (stat && stat->dead() && stat->session != own_session) waitpid(pid, nullptr, WNOHANG);
  }
}

}  // namespace fastcontainer
