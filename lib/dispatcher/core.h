// A dispatcher's inside: all containers of this host, and the questions that come for them.
#ifndef FASTCONTAINER_LIB_DISPATCHER_CORE_H_
#define FASTCONTAINER_LIB_DISPATCHER_CORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/cmdb/mirror.h"
#include "lib/cmdb/restore_mark.h"
#include "lib/dispatcher/container.h"
#include "lib/dispatcher/context.h"
#include "lib/dispatcher/heartbeat.h"
#include "lib/dispatcher/host_record.h"
#include "lib/dispatcher/placement_watch.h"

namespace fastcontainer {

class DispatcherCore {
 public:
  DispatcherCore(Reactor& reactor, Cmdb& cmdb, std::unique_ptr<Channel> channel, Runtime& runtime, Hook* hook,
                 LogSink* log, DispatcherOptions options);
  ~DispatcherCore();
  DispatcherCore(const DispatcherCore&) = delete;
  DispatcherCore& operator=(const DispatcherCore&) = delete;

  void Start(Dispatcher::DoneCallback ready);
  void Drain(Nanos grace, Dispatcher::DoneCallback done);
  void SetKeys(std::vector<ClusterKey> keys) { context_.channel->SetKeys(std::move(keys)); }
  void ForEach(absl::AnyInvocable<void(const ContainerInfo&)>& callback) const;
  const Dispatcher::Stats& stats();
  uint64_t incarnation() const { return incarnation_; }

 private:
  // Ordered, so that a simulation's seed reproduces every order.
  using Key = std::pair<std::string, uint32_t>;

  void Recovered(absl::StatusOr<std::vector<RunningInstance>> found);
  void StopStray(const Key& key, const InstanceId& instance);
  void WriteHostRecord();
  void OnRestored();
  void WatchHostRecord();
  void OnHostRecord(const Record& record, bool deleted);
  void Serve(const absl::Status& status);
  void OnMessage(const Address& from, const PeerId& peer, const Message& message);
  void OnHeartbeat();
  void OnExit(const ExitReport& report);
  void OnChanged(Container& container);
  void OnPlacements(uint8_t shard, const std::string& name);
  void ForgetLater(const Key& key);
  void ArmResync();
  void FinishDrain();
  Container& Make(const Key& key);

  DispatcherContext context_;
  HostRecord host_record_;
  Heartbeat heartbeat_;
  PlacementWatch watch_;
  std::unique_ptr<RestoreMark> restore_mark_;
  std::unique_ptr<Mirror> own_record_;
  std::map<Key, std::unique_ptr<Container>> containers_;
  std::set<Key> forgettable_;  // looked at in the next round
  Timer resync_;
  uint64_t incarnation_ = 0;
  bool held_ = false;  // the heartbeat, when it last changed
  bool serving_ = false;
  Dispatcher::DoneCallback ready_;
  Dispatcher::DoneCallback drained_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what nobody can cancel
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_CORE_H_
