#include "lib/dispatcher/core.h"

#include <xxhash.h>

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

constexpr Nanos kResync = 600 * kSecond;
constexpr Nanos kStrayRetry = 1 * kSecond;

}  // namespace

DispatcherCore::DispatcherCore(Reactor& reactor, Cmdb& cmdb, std::unique_ptr<Channel> channel,
                               Runtime& runtime, Hook* hook, LogSink* log, DispatcherOptions options)
    : context_(reactor, cmdb, std::move(channel), runtime, hook, log, std::move(options)),
      host_record_(context_),
      heartbeat_(context_, [this] { OnHeartbeat(); }),
      watch_(context_, [this](uint8_t shard, const std::string& name) { OnPlacements(shard, name); }),
      resync_(reactor) {
  context_.changed = [this](Container& container) { OnChanged(container); };
  context_.heartbeat = &heartbeat_;
  if (context_.options.dispatcher_port == 0)
    context_.options.dispatcher_port = context_.channel->local_address().port;
}

DispatcherCore::~DispatcherCore() {
  *alive_ = false;
  context_.changed = [](Container&) {};
}

void DispatcherCore::Start(Dispatcher::DoneCallback ready) {
  ready_ = std::move(ready);
  restore_mark_ = std::make_unique<RestoreMark>(
      context_.cmdb, context_.reactor, [this] { OnRestored(); }, context_.options.seed);
  context_.runtime.OnExit([this, alive = alive_](const ExitReport& report) {
    if (*alive) OnExit(report);
  });
  context_.runtime.Recover([this, alive = alive_](absl::StatusOr<std::vector<RunningInstance>> found) {
    if (*alive) Recovered(std::move(found));
  });
}

void DispatcherCore::Recovered(absl::StatusOr<std::vector<RunningInstance>> found) {
  if (!found.ok()) return Serve(found.status());
  // The newest epoch of each replica first: it stays, what else there is of that replica goes.
  std::sort(found->begin(), found->end(), [](const RunningInstance& a, const RunningInstance& b) {
    return std::tie(a.container, a.replica, b.epoch, a.instance) <
           std::tie(b.container, b.replica, a.epoch, b.instance);
  });
  for (const RunningInstance& instance : *found) {
    const Key key{instance.container, instance.replica};
    Container& container = Make(key);
    if (instance.ready && !container.has_instance() && !Container::IsSingle(instance.instance)) {
      container.Adopt(instance);
    } else {
      container.AddStray();
      StopStray(key, instance.instance);
    }
  }
  WriteHostRecord();
}

void DispatcherCore::StopStray(const Key& key, const InstanceId& instance) {
  context_.runtime.Stop(instance, 0, [this, alive = alive_, key, instance](const absl::Status& status) {
    if (!*alive) return;
    if (status.ok() || absl::IsNotFound(status)) return Make(key).StrayGone();
    context_.Log(LogLevel::kError,
                 absl::StrCat(instance, " could not be stopped: ", std::string(status.message())));
    context_.reactor.After(kStrayRetry, [this, alive, key, instance] {
      if (*alive) StopStray(key, instance);
    });
  });
}

void DispatcherCore::WriteHostRecord() {
  host_record_.Write(
      [this](const absl::Status& why) {
        context_.Log(LogLevel::kWarning, absl::StrCat("the CMDB does not answer, serving what runs already: ",
                                                      std::string(why.message())));
        const Address own = context_.channel->local_address();
        if (!context_.address && !own.IsAny()) context_.address = own.WithPort(0);
        Serve(absl::OkStatus());
      },
      [this](absl::StatusOr<Host> host) {
        if (!host.ok()) return Serve(host.status());
        incarnation_ = host->incarnation;
        context_.ports.Prefer(incarnation_);
        heartbeat_.Start(incarnation_);
        WatchHostRecord();
        const absl::StatusOr<Address> address = Address::Parse(host->address);
        if (!address.ok()) return Serve(address.status());
        if (!context_.options.address) context_.address = address->WithPort(0);
        Serve(absl::OkStatus());
      });
}

// The heartbeat's lease may be another host's by now, and this host's record may be gone or older.
void DispatcherCore::OnRestored() {
  if (incarnation_ == 0) return;  // nothing was read yet
  context_.Log(LogLevel::kWarning, "the CMDB was put back to an older copy: all of it is read anew");
  heartbeat_.Stop("the CMDB was put back to an older copy");
  watch_.Restart();
  for (const auto& [key, container] : containers_) container->OnRestored();
  host_record_.Write([](const absl::Status&) {},
                     [this](absl::StatusOr<Host> host) {
                       if (!host.ok())
                         return context_.Log(
                             LogLevel::kError,
                             absl::StrCat("host record: ", std::string(host.status().message())));
                       incarnation_ = host->incarnation;
                       heartbeat_.Start(incarnation_);
                       WatchHostRecord();
                     });
}

// Its administrator may write there that it is to be drained.
void DispatcherCore::WatchHostRecord() {
  Mirror::Observer observer;
  observer.on_change = [this](const Record& record, bool deleted) { OnHostRecord(record, deleted); };
  observer.on_state = [](Mirror::State) {};
  own_record_ = std::make_unique<Mirror>(context_.cmdb, context_.reactor,
                                         RecordKey(RecordKind::kHost, context_.options.host),
                                         std::move(observer), context_.random());
}

void DispatcherCore::OnHostRecord(const Record& record, bool deleted) {
  // Other hosts' names may begin with this one's.
  if (record.key != RecordKey(RecordKind::kHost, context_.options.host) || deleted) return;
  const absl::StatusOr<Host> host = DecodeHost(record.value);
  if (!host.ok()) return;  // the last good one stays in force
  const bool cordoned = host->admin != AdminState::kUp;
  if (std::exchange(context_.cordoned, cordoned) == cordoned) return;
  context_.Log(LogLevel::kInfo, cordoned
                                    ? "the host's record says that it is being drained: nothing is started"
                                    : "the host's record says that it is up again");
}

void DispatcherCore::Serve(const absl::Status& status) {
  if (status.ok() && !serving_) {
    serving_ = true;
    context_.channel->SetCallbacks([this](const Address& from, const PeerId& peer,
                                          const Message& message) { OnMessage(from, peer, message); },
                                   // Nothing is concluded from a router's silence: its leases expire.
                                   [](const Address&, int) {});
    ArmResync();
    context_.Log(
        LogLevel::kInfo,
        absl::StrCat("serving: host ", context_.options.host, ", address ", context_.address.ToString(),
                     ", UDP port ", context_.options.dispatcher_port, ", incarnation ", incarnation_));
  }
  if (!status.ok()) context_.Log(LogLevel::kError, absl::StrCat("start: ", std::string(status.message())));
  if (!ready_) return;
  context_.reactor.Defer([alive = alive_, status, ready = std::exchange(ready_, nullptr)]() mutable {
    if (*alive) ready(status);
  });
}

// The watch may have missed something that nobody can tell: each placement is looked at again now and then.
void DispatcherCore::ArmResync() {
  resync_.Set(context_.reactor.Now() + context_.Jitter(kResync), [this] {
    for (const auto& [key, container] : containers_)
      if (container->has_instance()) container->Reread();
    ArmResync();
  });
}

Container& DispatcherCore::Make(const Key& key) {
  std::unique_ptr<Container>& container = containers_[key];
  if (!container) container = std::make_unique<Container>(context_, key.first, key.second);
  return *container;
}

// Containers are made and forgotten in the loop's later rounds only.
void DispatcherCore::OnHeartbeat() {
  const bool holds = heartbeat_.Holds();
  if (holds) {
    context_.guard = context_.runtime.GuardSingle(heartbeat_.until());
    if (std::exchange(held_, true)) return;
  } else {
    held_ = false;
  }
  for (const auto& [key, container] : containers_) container->OnHeartbeat(holds);
}

void DispatcherCore::OnMessage(const Address& from, const PeerId& peer, const Message& message) {
  heartbeat_.Holds();  // its end is noticed before anything is answered, also if the loop comes late
  switch (message.type) {
    case MessageType::kEcho: {
      Message answer;
      answer.type = MessageType::kEchoOk;
      answer.request_id = message.request_id;
      answer.load = context_.Load();
      ++context_.stats.echoes;
      return context_.channel->Send(from, answer);
    }
    case MessageType::kAcquire:
      return Make({message.container, message.replica}).Acquire(from, peer, message);
    case MessageType::kPrepare: {
      const Key key{message.container, message.replica};
      Make(key).Prepare(message);
      return ForgetLater(key);
    }
    case MessageType::kRenew: {
      const Key key{message.container, message.replica};
      Make(key).Renew(from, peer, message);
      return ForgetLater(key);
    }
    case MessageType::kRelease: {
      const auto found = containers_.find({message.container, message.replica});
      if (found != containers_.end()) found->second->Release(peer, message);
      return;
    }
    case MessageType::kEchoOk:
    case MessageType::kGrant:
    case MessageType::kWait:
    case MessageType::kMoved:
    case MessageType::kFull:
    case MessageType::kFailed:
    case MessageType::kRevoke:
    case MessageType::kPeerProbe:
    case MessageType::kPeerVerdict:
      return;  // answers; nothing was asked
  }
}

void DispatcherCore::OnExit(const ExitReport& report) {
  for (const auto& [key, container] : containers_)
    if (container->has_instance() && container->instance() == report.instance)
      return container->Exited(report.reason);
}

void DispatcherCore::OnPlacements(uint8_t shard, const std::string& name) {
  for (auto it = name.empty() ? containers_.begin() : containers_.lower_bound({name, 0});
       it != containers_.end() && (name.empty() || it->first.first == name); ++it)
    if (it->second->watched && ShardOf(it->first.first) == shard) it->second->Reread();
}

void DispatcherCore::OnChanged(Container& container) {
  const bool want = container.wants_watch();
  if (want != container.watched) {
    container.watched = want;
    const uint8_t shard = ShardOf(container.name());
    if (want)
      watch_.Want(shard);
    else
      watch_.Leave(shard);
  }
  ForgetLater({container.name(), container.replica()});
  if (context_.draining) FinishDrain();
}

void DispatcherCore::ForgetLater(const Key& key) {
  forgettable_.insert(key);
  if (forgettable_.size() != 1) return;
  context_.reactor.Defer([this, alive = alive_] {
    if (!*alive) return;
    for (const Key& candidate : std::exchange(forgettable_, {})) {
      const auto found = containers_.find(candidate);
      if (found != containers_.end() && found->second->forgettable()) containers_.erase(found);
    }
  });
}

void DispatcherCore::Drain(Nanos grace, Dispatcher::DoneCallback done) {
  context_.draining = true;
  drained_ = std::move(done);
  const Nanos deadline = context_.reactor.Now() + grace;
  for (const auto& [key, container] : containers_) container->Drain(deadline);
  FinishDrain();
}

void DispatcherCore::FinishDrain() {
  if (!drained_ || context_.instances() != 0) return;
  context_.reactor.Defer([alive = alive_, done = std::exchange(drained_, nullptr)]() mutable {
    if (*alive) done(absl::OkStatus());
  });
}

void DispatcherCore::ForEach(absl::AnyInvocable<void(const ContainerInfo&)>& callback) const {
  for (const auto& [key, container] : containers_)
    if (container->has_instance() || container->failing()) callback(container->Info());
}

const Dispatcher::Stats& DispatcherCore::stats() {
  size_t leases = 0;
  for (const auto& [key, container] : containers_) leases += container->leases();
  context_.stats.leases = static_cast<uint32_t>(leases);
  return context_.stats;
}

}  // namespace fastcontainer
