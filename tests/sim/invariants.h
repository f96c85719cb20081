// What must hold after every step, and what must hold when all is quiet (docs/protocol.md, "Invariants").
#ifndef FASTCONTAINER_TESTS_SIM_INVARIANTS_H_
#define FASTCONTAINER_TESTS_SIM_INVARIANTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "lib/cmdb/memory.h"
#include "tests/sim/client.h"
#include "tests/sim/world.h"

namespace fastcontainer::sim {

class Invariants {
 public:
  struct Budget {
    double rate = 0, burst = 0;
  };

  Invariants(World& world, MemoryStore& store)
      : world_(world), store_(store), listener_(store.AddListener([this] { changed_ = true; })) {}
  ~Invariants() { store_.RemoveListener(listener_); }

  // After each event: looks at what was written.
  void Step() {
    if (std::exchange(changed_, false)) ReadChanges();
  }
  // The store is another one: I2 begins anew. I1 and I3 do not: no epoch is handed out twice, and no older
  // one writes, over a restore either.
  void OnWentBack();
  void OnTicket(const std::string& router, const Request& request, const Ticket& ticket);
  void OnStart(const std::string& host, const StartRequest& request, bool reads_fail);
  void OnExecuted(const std::string& host, const Request& request, const StartRequest& by);
  void OnFinished(const Request& request);
  // A copy with Writers::kSingle writes to its storage; each of its requests does.
  void OnWrite(const std::string& host, const StartRequest& by);
  // The storage of this container refuses writes of lower epochs from now on.
  void OnStorageFence(const std::string& container, uint64_t epoch) {
    uint64_t& fence = storage_[container].fence;
    fence = std::max(fence, epoch);
  }
  uint64_t refused_writes() const { return refused_writes_; }
  void Violation(const std::string& what);
  // I8: relocations because of verdicts by this router must keep to it.
  // It begins anew when the router's process does.
  void SetBudget(const std::string& router, Budget budget) {
    budgets_[router] = budget;
    relocated_by_.erase(router);
  }

  // The committed placement of a container; null: none.
  struct Committed {
    uint64_t epoch = 0;
    std::string host, op, reason;
    Nanos at = 0;
    size_t unfenced = 0;
  };
  const Committed* Current(const std::string& container) const;
  // How often a container was moved from one host to another.
  uint64_t relocations() const { return relocations_; }
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  using Epoch = std::tuple<std::string, uint32_t, uint64_t>;  // container, replica, epoch
  void ReadChanges();
  void OnPlacement(const std::string& container, const Placement& placement);
  void CheckBudget(const std::string& router);

  World& world_;
  MemoryStore& store_;
  const uint64_t listener_;
  bool changed_ = true;
  uint64_t seen_ = 0;
  std::map<Epoch, Committed> committed_;
  std::map<std::string, Committed> current_;
  struct TicketEpochs {
    uint64_t at_once = 0, later = 0;  // the highest
  };
  std::map<std::pair<std::string, std::string>, TicketEpochs> ticket_epochs_;  // router, container
  std::map<std::pair<std::string, std::string>, uint64_t> start_epochs_;       // host, container
  std::map<std::string, Budget> budgets_;
  std::map<std::string, std::vector<Nanos>> relocated_by_;
  struct Storage {
    uint64_t fence = 0, written = 0;  // epochs: refused below; the highest that wrote
  };
  std::map<std::string, Storage> storage_;
  uint64_t refused_writes_ = 0;
  uint64_t relocations_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_INVARIANTS_H_
