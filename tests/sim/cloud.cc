#include "tests/sim/cloud.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"

namespace fastcontainer::sim {
namespace {

constexpr uint16_t kDispatcherPort = 7070;
constexpr uint16_t kRouterPort = 40'000;
constexpr Nanos kPatience = 2 * kSecond;  // of a dispatcher's reading

Address MachineAddress(int i) { return *Address::Parse(absl::StrCat("10.1.0.", i + 1)); }
Address ProxyAddress(int i) { return *Address::Parse(absl::StrCat("10.2.0.", i + 1)); }

std::vector<ClusterKey> Keys() {
  ClusterKey key{};
  key[0] = 7;
  return {key};
}

uint64_t NextBoot(MachineClock& clock, const Reactor& loop) {
  clock.boot = std::max(clock.boot + 1, static_cast<uint64_t>(loop.WallNow()));
  return clock.boot;
}

}  // namespace

std::string Cloud::Container(int i) { return absl::StrCat("site-", i); }
std::string Cloud::KeyOf(int i) { return absl::StrCat("www", i, ".example.org"); }

Cloud::Cloud(const CloudOptions& options)
    : options_(options),
      world_(options.seed),
      network_(world_),
      store_(std::make_shared<MemoryStore>()),
      invariants_(world_, *store_) {
  for (int i = 0; i < options_.containers; ++i) {
    std::string spec = options_.spec;
    if (i < options_.singles) spec.insert(1, R"("writers":"single",)");
    store_->Put(RecordKey(RecordKind::kSpec, Container(i)), spec);
    store_->Put(RecordKey(RecordKind::kKey, KeyOf(i)), EncodeKey(Key{Container(i)}));
  }
  world_.KeepNotes(options_.notes);
  world_.OnEvent([this] {
    invariants_.Step();
    if (world_.now() >= next_look_) LookForOutages();
  });
  for (int i = 0; i < options_.machines; ++i) AddMachine(i);
  world_.RunFor(kSecond);
  for (int i = 0; i < options_.proxies; ++i) AddProxy(i);
  world_.RunFor(kSecond);
}

Cloud::~Cloud() {
  world_.OnEvent(nullptr);
  for (size_t i = 0; i < proxies_.size(); ++i) KillProxy(i);
  for (size_t i = 0; i < hosts_.size(); ++i) KillDispatcher(i);
}

// Faults of the CMDB last longer than the time between two looks.
void Cloud::LookForOutages() {
  next_look_ = world_.now() + 10 * kMillisecond;
  for (auto& host : hosts_)
    if (host->cmdb != nullptr &&
        (host->cmdb->faults().fail_reads != 0 || host->cmdb->faults().delay > kPatience))
      host->blind_until = world_.now() + 2 * kPatience;
}

MachineClock Cloud::NewClock(double rate) {
  MachineClock clock;
  clock.rate = rate;
  if (options_.drift > 0)
    clock.rate += options_.drift * static_cast<double>(world_.Between(-1'000, 1'000)) / 1'000;
  return clock;
}

std::unique_ptr<DatagramSocket> Cloud::NewSocket(SimReactor& loop, const Address& address) {
  auto socket = std::make_unique<SimSocket>(network_, loop, address);
  if (options_.replay_window) return socket;
  return std::make_unique<ReplayedSocket>(std::move(socket), Keys().front());
}

void Cloud::AddMachine(int i) {
  machines_.push_back(std::make_unique<Machine>(world_, absl::StrCat("h", i), MachineAddress(i)));
  Machine& machine = *machines_.back();
  machine.load.free_cpu = 8;
  machine.load.free_memory = uint64_t{8} << 30;
  hosts_.push_back(std::make_unique<Host>(machine));
  hosts_.back()->clock = NewClock(options_.dispatcher_rate);
  machine.on_start = [this, host = hosts_.back().get()](const StartRequest& request) {
    const bool blind = world_.now() < host->blind_until;
    invariants_.OnStart(host->machine.name(), request, blind);
  };
  StartDispatcher(static_cast<size_t>(i));
}

void Cloud::StartDispatcher(size_t i) {
  Host& host = *hosts_[i];
  Machine& machine = host.machine;
  host.loop = std::make_unique<SimReactor>(world_, host.clock.rate, host.clock.wall_offset);
  host.store_clock = std::make_unique<StoreClock>(*host.loop);
  host.cmdb = std::make_unique<MemoryCmdb>(store_, *host.store_clock);
  host.cmdb->faults().delay = kCmdbDelay;
  host.mutant = std::make_unique<MutantCmdb>(options_.dispatcher_mutant, *host.cmdb, *host.loop);
  host.runtime = std::make_unique<SimRuntime>(machine, *host.loop);
  host.log = [this, &machine](LogLevel, std::string_view, std::string_view message) {
    world_.Note(machine.name(), message);
  };
  host.hook = [this](const HookEvent& event) {
    if (event.point == HookPoint::kFence && options_.storage_fence)
      invariants_.OnStorageFence(std::string(event.container), event.epoch);
    return true;
  };
  machine.guarded = options_.dispatcher_mutant != Mutant::kNoSelfFencing;
  DispatcherOptions options;
  options.host = machine.name();
  options.heartbeat = options_.heartbeat;
  options.address = machine.address();
  options.dispatcher_port = kDispatcherPort;
  options.cpu = 8;
  options.memory = uint64_t{8} << 30;
  options.max_starts = options_.max_starts;
  options.port_last = static_cast<uint16_t>(options.port_first + options_.ports - 1);
  options.seed = options_.seed * 1'000 + i * 10 + ++host.boots;
  options.load = [&machine] { return machine.load; };
  options.check = [this, &machine, loop = host.loop.get()](const Address& address, Nanos deadline,
                                                           absl::AnyInvocable<void(bool)> callback) {
    const bool slow = world_.Chance(machine.faults.slow_check);
    loop->Input(slow ? loop->ToWorld(deadline) - world_.now() : 0,
                [&machine, address, slow, callback = std::move(callback)]() mutable {
                  callback(slow || machine.Listening(address) != nullptr);
                });
  };
  options.port_is_free = [&machine](const Address& address) {
    for (const auto& [id, instance] : machine.instances())
      if (instance.request.address == address) return false;
    return true;
  };
  auto channel = std::make_unique<Channel>(NewSocket(*host.loop, machine.address().WithPort(kDispatcherPort)),
                                           Keys(), machine.name(), NextBoot(host.clock, *host.loop));
  host.dispatcher = std::make_unique<Dispatcher>(*host.loop, *host.mutant, std::move(channel), *host.runtime,
                                                 &host.hook, &host.log, std::move(options));
  host.dispatcher->Start([this, &machine](const absl::Status& status) {
    world_.Note(machine.name(), status.ok() ? "dispatcher serves" : "dispatcher cannot serve");
  });
}

void Cloud::KillDispatcher(size_t i) {
  Host& host = *hosts_[i];
  if (host.dispatcher == nullptr) return;
  world_.Note(host.machine.name(), "dispatcher killed");
  // A killed process says nothing any more.
  network_.Unbind(host.machine.address().WithPort(kDispatcherPort));
  host.dispatcher.reset();
  host.runtime.reset();
  host.mutant.reset();
  host.cmdb.reset();
  host.store_clock.reset();
  host.loop.reset();
}

void Cloud::LosePower(size_t i) {
  world_.Note(machines_[i]->name(), "loses power");
  network_.SetDown(machines_[i]->address(), true);
  machines_[i]->LosePower();
  KillDispatcher(i);
}

void Cloud::RestorePower(size_t i) {
  network_.SetDown(machines_[i]->address(), false);
  StartDispatcher(i);
}

void Cloud::FreezeMachine(size_t i) {
  world_.Note(machines_[i]->name(), "frozen");
  machines_[i]->Freeze();
  if (hosts_[i]->loop != nullptr) hosts_[i]->loop->Freeze();
}

void Cloud::ThawMachine(size_t i) {
  world_.Note(machines_[i]->name(), "thawed");
  machines_[i]->Thaw();
  if (hosts_[i]->loop != nullptr) hosts_[i]->loop->Thaw();
}

void Cloud::FreezeDispatcher(size_t i) {
  world_.Note(machines_[i]->name(), "dispatcher frozen");
  if (hosts_[i]->loop != nullptr) hosts_[i]->loop->Freeze();
}

void Cloud::LoseCmdb(MemoryCmdb& cmdb, bool lost) {
  cmdb.faults().fail_reads = lost ? -1 : 0;
  cmdb.faults().fail_txns = lost ? -1 : 0;
  cmdb.faults().fail_leases = lost ? -1 : 0;
  if (lost)
    cmdb.Disconnect();
  else
    cmdb.Reconnect();
}

void Cloud::LoseCmdb(bool lost) {
  world_.Note("cmdb", lost ? "lost" : "back");
  for (auto& host : hosts_)
    if (host->cmdb != nullptr) LoseCmdb(*host->cmdb, lost);
  for (auto& proxy : proxies_)
    if (proxy->cmdb != nullptr) LoseCmdb(*proxy->cmdb, lost);
}

void Cloud::AddProxy(int i) {
  proxies_.push_back(std::make_unique<Proxy>());
  Proxy& proxy = *proxies_.back();
  proxy.name = absl::StrCat("proxy-", i);
  proxy.address = ProxyAddress(i);
  proxy.clock = NewClock(options_.router_rate);
  proxy.log = [this, &proxy](LogLevel, std::string_view, std::string_view message) {
    world_.Note(proxy.name, message);
  };
  StartProxy(static_cast<size_t>(i));
}

void Cloud::StartProxy(size_t i) {
  Proxy& proxy = *proxies_[i];
  proxy.loop = std::make_unique<SimReactor>(world_, proxy.clock.rate, proxy.clock.wall_offset);
  proxy.store_clock = std::make_unique<StoreClock>(*proxy.loop);
  proxy.cmdb = std::make_unique<MemoryCmdb>(store_, *proxy.store_clock);
  proxy.cmdb->faults().delay = kCmdbDelay;
  proxy.mutant = std::make_unique<MutantCmdb>(options_.router_mutant, *proxy.cmdb, *proxy.loop);
  proxy.prober = std::make_unique<SimProber>(network_, *proxy.loop, proxy.address);
  RouterOptions router = options_.router;
  router.name = proxy.name;
  router.seed = options_.seed * 100 + i * 10 + ++proxy.boots;
  for (int peer = 0; options_.peers && peer < options_.proxies; ++peer)
    if (static_cast<size_t>(peer) != i) router.peers.push_back(ProxyAddress(peer).WithPort(kRouterPort));
  auto channel = std::make_unique<Channel>(NewSocket(*proxy.loop, proxy.address.WithPort(kRouterPort)),
                                           Keys(), proxy.name, NextBoot(proxy.clock, *proxy.loop));
  const RouterPorts ports{*proxy.loop, *proxy.mutant, *proxy.prober, &proxy.policy, nullptr, &proxy.log};
  invariants_.SetBudget(proxy.name, {static_cast<double>(router.relocations_per_second),
                                     static_cast<double>(router.relocation_burst)});
  if (options_.router_mutant == Mutant::kNoBudget) {
    router.relocations_per_second = 1'000'000;
    router.relocation_burst = 1'000'000;
  }
  proxy.router = std::make_unique<Router>(ports, std::move(channel), router);
  Client::Observer observer;
  observer.ticket = [this, &proxy](const Request& request, const Ticket& ticket) {
    invariants_.OnTicket(proxy.name, request, ticket);
  };
  observer.executed = [this](const Request& request, const StartRequest& by) {
    invariants_.OnExecuted(request.host, request, by);
  };
  observer.finished = [this](const Request& request) { invariants_.OnFinished(request); };
  observer.violation = [this](const std::string& what) { invariants_.Violation(what); };
  proxy.client = std::make_unique<Client>(
      world_, network_, *proxy.loop, *proxy.router, proxy.address,
      [this](const Address& address) { return MachineAt(address); }, std::move(observer));
  proxy.client->unsafe_resend = options_.router_mutant == Mutant::kUnsafeResend;
}

void Cloud::KillProxy(size_t i) {
  Proxy& proxy = *proxies_[i];
  if (proxy.router == nullptr) return;
  world_.Note(proxy.name, "killed");
  proxy.client->Die();
  proxy.past += proxy.client->counts();
  network_.Unbind(proxy.address.WithPort(kRouterPort));
  proxy.router.reset();
  proxy.dead_clients.push_back(std::move(proxy.client));
  proxy.prober.reset();
  proxy.mutant.reset();
  proxy.cmdb.reset();
  proxy.store_clock.reset();
  proxy.loop.reset();
}

void Cloud::FreezeProxy(size_t i) {
  world_.Note(proxies_[i]->name, "frozen");
  if (proxies_[i]->loop != nullptr) proxies_[i]->loop->Freeze();
}

void Cloud::ThawProxy(size_t i) {
  world_.Note(proxies_[i]->name, "thawed");
  if (proxies_[i]->loop != nullptr) proxies_[i]->loop->Thaw();
}

void Cloud::StepWall(size_t machine, Nanos by) {
  Host& host = *hosts_[machine];
  host.clock.wall_offset += by;
  if (host.loop != nullptr) host.loop->StepWall(by);
}

void Cloud::StepProxyWall(size_t proxy, Nanos by) {
  proxies_[proxy]->clock.wall_offset += by;
  if (proxies_[proxy]->loop != nullptr) proxies_[proxy]->loop->StepWall(by);
}

Machine* Cloud::MachineAt(const Address& address) {
  for (const auto& machine : machines_)
    if (machine->address() == address.WithPort(0)) return machine.get();
  return nullptr;
}

size_t Cloud::HostOf(int container) const {
  const Invariants::Committed* const placed = invariants_.Current(Container(container));
  for (size_t i = 0; i < machines_.size(); ++i)
    if (placed != nullptr && machines_[i]->name() == placed->host) return i;
  return machines_.size();
}

void Cloud::NextRequest(Nanos end, const Load& load) {
  const Nanos gap = static_cast<Nanos>(static_cast<double>(kSecond) / load.rate);
  world_.After(world_.Between(0, 2 * gap), [this, end, load] {
    if (world_.now() >= end) return;
    Proxy& proxy = *proxies_[world_.Draw() % proxies_.size()];
    const int container = static_cast<int>(world_.Draw() % static_cast<uint64_t>(options_.containers));
    const bool idempotent = world_.Chance(load.idempotent);
    const Nanos service = world_.Between(load.least_service, load.most_service);
    if (proxy.loop != nullptr)
      proxy.loop->Input(0, [&proxy, container, idempotent, service] {
        proxy.client->Send(KeyOf(container), idempotent, service);
      });
    NextRequest(end, load);
  });
}

void Cloud::Run(Nanos time, const Load& load) {
  const Nanos end = world_.now() + time;
  NextRequest(end, load);
  world_.RunUntil(end);
}

void Cloud::Warm() {
  for (auto& proxy : proxies_)
    for (int i = 0; i < options_.containers; ++i)
      proxy->loop->Input(0, [p = proxy.get(), i] { p->client->Send(KeyOf(i), true, kMillisecond); });
  world_.RunFor(3 * kSecond);
}

uint64_t Cloud::Failed() const {
  uint64_t sum = 0;
  for (const auto& proxy : proxies_) sum += proxy->counts().failed;
  return sum;
}

uint64_t Cloud::Unsafe() const {
  uint64_t sum = 0;
  for (const auto& proxy : proxies_) sum += proxy->counts().unsafe;
  return sum;
}

uint64_t Cloud::Ok() const {
  uint64_t sum = 0;
  for (const auto& proxy : proxies_) sum += proxy->counts().ok;
  return sum;
}

uint64_t Cloud::RunningCopies(int container) const {
  uint64_t copies = 0;
  for (const auto& machine : machines_)
    for (const auto& [id, instance] : machine->instances())
      copies += instance.request.container == Container(container) ? 1 : 0;
  return copies;
}

}  // namespace fastcontainer::sim
