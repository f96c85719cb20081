// The watches of one handle of a store that keeps a log of its changes: what each has been told, and the way
// from the log to their callbacks. Shared by the drivers.
#ifndef FASTCONTAINER_LIB_CMDB_WATCH_SET_H_
#define FASTCONTAINER_LIB_CMDB_WATCH_SET_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "fastcontainer/cmdb.h"

namespace fastcontainer {

// A piece of the log: every change with a revision in (asked, upto].
struct ChangeBatch {
  uint64_t compacted = 0;          // changes up to and with this revision may be missing
  uint64_t store_revision = 0;     // when it was read
  uint64_t upto = 0;               // less than store_revision if there is more
  std::vector<WatchEvent> events;  // kPut and kDelete, ascending by revision
};

// Belongs to the loop's thread. Every function but Add and Cancel may run callbacks, which may call every
// function; whoever calls these holds the set alive.
class WatchSet {
 public:
  using ReadChanges = absl::FunctionRef<absl::StatusOr<ChangeBatch>(uint64_t after)>;

  void Add(Cmdb::OpId id, std::string_view prefix, uint64_t after, Cmdb::WatchCallback callback);
  bool Cancel(Cmdb::OpId id) { return watches_.erase(id) > 0; }
  void Clear() { watches_.clear(); }
  bool empty() const { return watches_.empty(); }
  // True if somebody watches keys that start with `beginning`, some or all of them.
  bool Wants(std::string_view beginning) const;

  // Delivers a batch to everybody who lacks it; true if there is more in the log. A failed read disconnects,
  // unless it is Aborted: to be tried again.
  bool Pump(ReadChanges read);
  void Disconnect();
  void Connect();
  bool connected() const { return connected_; }

 private:
  struct Watch {
    std::string prefix;
    uint64_t cursor;  // everything up to here has been delivered or was not asked for
    std::shared_ptr<Cmdb::WatchCallback> callback;
    bool caught_up = false;          // has had kProgress since it was connected
    bool told_disconnected = false;  // has had kDisconnected and no kConnected since
    bool lost = false;               // has had kResync, after which nothing follows
  };

  std::vector<Cmdb::OpId> Ids() const;
  Watch* Find(Cmdb::OpId id);
  // False if the watch is gone afterwards.
  bool Tell(Cmdb::OpId id, const WatchEvent& event);
  bool TellKind(Cmdb::OpId id, WatchEvent::Kind kind, uint64_t revision);
  void TellConnection();
  void DeliverTo(Cmdb::OpId id, const ChangeBatch& batch);

  std::map<Cmdb::OpId, Watch> watches_;
  bool connected_ = true;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_WATCH_SET_H_
