// Tells that placements may have changed in the shards where this host runs something. Only a hint: what is
// true is read linearizably afterwards, so nothing of the records is kept.
#ifndef FASTCONTAINER_LIB_DISPATCHER_PLACEMENT_WATCH_H_
#define FASTCONTAINER_LIB_DISPATCHER_PLACEMENT_WATCH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "lib/dispatcher/context.h"
#include "lib/dispatcher/timer.h"

namespace fastcontainer {

class PlacementWatch {
 public:
  // `container` is "" if any container of the shard may have changed.
  using ChangeCallback = std::function<void(uint8_t shard, const std::string& container)>;

  PlacementWatch(DispatcherContext& context, ChangeCallback callback);
  ~PlacementWatch();
  PlacementWatch(const PlacementWatch&) = delete;
  PlacementWatch& operator=(const PlacementWatch&) = delete;

  // Counted: a shard is watched while more have wanted it than left it.
  void Want(uint8_t shard);
  void Leave(uint8_t shard);
  // The store has another history: what was watched is watched from its present revision.
  void Restart();

 private:
  struct Shard {
    explicit Shard(Reactor& reactor) : retry(reactor) {}
    uint32_t wanted = 0;
    Cmdb::OpId op = 0;
    Timer retry;
  };
  void Begin(uint8_t shard);
  void Listed(uint8_t shard, const absl::StatusOr<ListPage>& page);
  void Event(uint8_t shard, const WatchEvent& event);

  DispatcherContext& context_;
  ChangeCallback callback_;
  std::map<uint8_t, std::unique_ptr<Shard>> shards_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_PLACEMENT_WATCH_H_
