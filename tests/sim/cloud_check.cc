// What must hold when every fault has ended and all is quiet.
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/sim/cloud.h"

namespace fastcontainer::sim {
namespace {

// Looked at so often, and twice in a row, before all counts as quiet: a lease, and a heartbeat of the default
// length, end in between.
constexpr Nanos kLook = 6 * kSecond;

}  // namespace

void Cloud::Heal() {
  world_.Note("cloud", "heals");
  network_.Heal();
  for (size_t i = 0; i < machines_.size(); ++i) {
    machines_[i]->faults = Machine::Faults();
    machines_[i]->load.overloaded = false;
    ThawMachine(i);
    if (hosts_[i]->dispatcher == nullptr) StartDispatcher(i);
  }
  for (size_t i = 0; i < proxies_.size(); ++i) {
    ThawProxy(i);
    if (proxies_[i]->router == nullptr) StartProxy(i);
  }
  LoseCmdb(false);
  MemoryCmdb::Faults healed;
  healed.delay = kCmdbDelay;
  for (auto& host : hosts_) host->cmdb->faults() = healed;
  for (auto& proxy : proxies_) proxy->cmdb->faults() = healed;
}

bool Cloud::Settled() {
  bool quiet = true;
  const auto unquiet = [&quiet](const std::string&) { quiet = false; };
  CheckOpen(unquiet);
  CheckCopies(unquiet);
  return quiet;
}

void Cloud::HealAndCheck(Nanos patience, bool all_of_it) {
  Heal();
  const Nanos end = world_.now() + patience;
  int quiet = 0;
  while (world_.now() < end && (quiet < 2 || all_of_it)) {
    world_.RunFor(kLook);
    quiet = Settled() ? quiet + 1 : 0;
  }
  const auto violation = [this](const std::string& what) { invariants_.Violation(what); };
  CheckOpen(violation);
  CheckCopies(violation);
  CheckRoutes();
  CheckCopies(violation);
}

void Cloud::CheckOpen(const Report& report) {
  for (auto& proxy : proxies_)
    proxy->client->ForEachOpen([&](const Request& request) {
      report(absl::StrCat("I9: request ", request.id, " of ", proxy->name, " for ", request.key,
                          " never ended; ", request.attempts, " attempts",
                          request.routing ? ", waits for its route" : ""));
    });
}

void Cloud::CheckCopies(const Report& report) {
  for (int i = 0; i < options_.containers; ++i)
    if (RunningCopies(i) > 1)
      report(absl::StrCat("I7: ", RunningCopies(i), " copies of ", Container(i), " run"));
  for (size_t i = 0; i < machines_.size(); ++i) {
    std::set<std::string> known;
    hosts_[i]->dispatcher->ForEach([&](const ContainerInfo& info) {
      const std::string instance(info.instance);
      if (instance.empty()) return;
      known.insert(instance);
      if (machines_[i]->instances().count(instance) == 0)
        report(absl::StrCat("I7: the dispatcher of ", machines_[i]->name(), " believes in ", instance,
                            ", with ", info.leases, " leases; it does not run"));
      if (info.tickets > 0)
        report(absl::StrCat("I7: ", machines_[i]->name(), " counts ", info.tickets, " tickets on ",
                            std::string(info.container), "; all have ended"));
    });
    for (const auto& [id, instance] : machines_[i]->instances()) {
      const Invariants::Committed* const placed = invariants_.Current(instance.request.container);
      if (placed == nullptr || placed->host != machines_[i]->name())
        report(absl::StrCat("I7: ", id, " runs ", instance.request.container, " on ", machines_[i]->name(),
                            ", where it is not placed"));
      if (known.count(id) == 0) report(absl::StrCat("a container that was started is forgotten: ", id));
    }
  }
}

// The caches equal the store if every router leads every key to where the store says.
void Cloud::CheckRoutes() {
  std::vector<std::vector<Request*>> sent(proxies_.size());
  for (size_t p = 0; p < proxies_.size(); ++p) {
    sent[p].resize(static_cast<size_t>(options_.containers));
    for (int i = 0; i < options_.containers; ++i)
      proxies_[p]->loop->Input(0, [this, p, i, &sent] {
        sent[p][static_cast<size_t>(i)] = &proxies_[p]->client->Send(KeyOf(i), true, kMillisecond);
      });
  }
  const Nanos asked = world_.now();
  world_.RunFor(5 * kSecond);
  for (size_t p = 0; p < proxies_.size(); ++p) {
    for (int i = 0; i < options_.containers; ++i) {
      const Request& request = *sent[p][static_cast<size_t>(i)];
      const Invariants::Committed* const placed = invariants_.Current(Container(i));
      if (request.code != RouteCode::kOk)
        invariants_.Violation(absl::StrCat("I7: ", proxies_[p]->name, " cannot route ", KeyOf(i),
                                           " when all is well: ", static_cast<int>(request.code), " ",
                                           request.error));
      else if (placed == nullptr ||
               (placed->at < asked && (placed->host != request.host || placed->epoch != request.epoch)))
        invariants_.Violation(absl::StrCat("I7: ", proxies_[p]->name, " routes ", KeyOf(i), " to ",
                                           request.host, " at epoch ", request.epoch,
                                           ", which is not what the store has"));
    }
  }
}

std::string Report(Cloud& cloud, uint64_t seed, const std::string& command) {
  if (cloud.invariants().violations().empty()) return "";
  std::string text = absl::StrCat("seed ", seed, "; again with: ", command, "\n");
  for (const std::string& violation : cloud.invariants().violations())
    absl::StrAppend(&text, "  ", violation, "\n");
  absl::StrAppend(&text, "the last events:\n");
  for (const std::string& note : cloud.world().notes()) absl::StrAppend(&text, note, "\n");
  return text;
}

}  // namespace fastcontainer::sim
