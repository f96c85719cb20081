// Works on the `unfenced` entries of one replica: an entry is a host where a copy may still run, and leaves
// the record when that is certainly not so any more (docs/protocol.md, "Fence").
#ifndef FASTCONTAINER_LIB_DISPATCHER_UNFENCE_H_
#define FASTCONTAINER_LIB_DISPATCHER_UNFENCE_H_

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fastcontainer/cmdb.h"
#include "fastcontainer/records.h"
#include "lib/dispatcher/context.h"
#include "lib/dispatcher/timer.h"

namespace fastcontainer {

class Unfence {
 public:
  Unfence(DispatcherContext& context, std::string container, uint32_t replica)
      : context_(context), container_(std::move(container)), replica_(replica), retry_(context.reactor) {}
  ~Unfence();
  Unfence(const Unfence&) = delete;
  Unfence& operator=(const Unfence&) = delete;

  struct Work {
    Placement placement;
    uint64_t revision = 0;
    bool own_is_gone = false;  // nothing of the replica is left on this host
    bool others = false;       // this host is to serve: the entries of others are worked on as well
  };
  // One step: removes what can be removed, then calls `reread`, at once or after a while. While a step is in
  // progress another one is ignored; its reading would be older than what the step brings.
  void Step(Work work, std::function<void()> reread);
  // No entry is left.
  void Done();
  bool busy() const { return reread_ != nullptr; }
  // How long the entries may last at most if their hosts are gone; 0: there are none.
  Nanos Remaining() const;

  static bool Has(const Placement& placement, uint32_t replica, const std::string* host);

 private:
  void Ask(const std::string& host);
  void Answered(const std::string& host, const absl::StatusOr<Record>& heartbeat);
  void Remove();
  void Nudge(const std::string& host);
  void Finish(bool progress);

  DispatcherContext& context_;
  const std::string container_;
  const uint32_t replica_;
  Work work_;
  std::function<void()> reread_;
  std::set<std::string> ended_;  // hosts whose entries may go
  std::vector<Cmdb::OpId> ops_;  // questions about heartbeats, and for addresses
  size_t asking_ = 0;
  Cmdb::OpId txn_ = 0;
  bool conflict_ = false;  // the last transaction met one
  Nanos delay_ = 0;
  Nanos since_ = 0;
  Timer retry_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_UNFENCE_H_
