// All watches of one handle, on one gRPC stream, which is opened anew where the old one broke.
#ifndef FASTCONTAINER_LIB_CMDB_ETCD_WATCHES_H_
#define FASTCONTAINER_LIB_CMDB_ETCD_WATCHES_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "fastcontainer/cmdb.h"
#include "lib/cmdb/etcd/client.h"
#include "lib/cmdb/etcd/messages.h"

namespace fastcontainer::etcd {

// Belongs to the loop's thread. Callbacks may call everything, and may destroy the handle.
class Watches : public std::enable_shared_from_this<Watches> {
 public:
  // Asks the store, linearizably, for its revision, by reading that key; 0: it could not be learned.
  using AskRevision =
      absl::AnyInvocable<void(std::string_view key, absl::AnyInvocable<void(uint64_t revision)>)>;

  Watches(Reactor& reactor, AskRevision ask_revision)
      : reactor_(reactor), ask_revision_(std::move(ask_revision)) {}

  void SetClient(std::weak_ptr<Client> client) { client_ = std::move(client); }
  void Add(Cmdb::OpId id, std::string_view prefix, uint64_t after, Cmdb::WatchCallback callback);
  bool Cancel(Cmdb::OpId id);
  void Stop();

  // The client's news.
  void OnUp();
  void OnDown() { TellDisconnected(); }

 private:
  struct Watch {
    std::string prefix;
    uint64_t cursor = 0;  // everything up to here has been delivered or was not asked for
    std::shared_ptr<Cmdb::WatchCallback> callback;
    uint64_t wire_id = 0;  // on the stream at hand; 0: not asked for yet
    uint64_t cluster = 0;  // whose revisions these are
    bool told_disconnected = false;
    bool lost = false;                // has had kResync, after which nothing follows
    std::vector<WatchEvent> partial;  // of a revision of which more is to come
  };

  void OpenStream(Client& client);
  void Create(Client& client, Cmdb::OpId id, Watch& watch);
  void OnMessage(std::string_view message);
  void OnEnd(const absl::Status& why);
  void CloseStream(const absl::Status& why);
  void CancelOnWire(uint64_t wire_id);
  void OnCreated(Cmdb::OpId id, const WatchResponse& response);
  void OnCanceled(Cmdb::OpId id, const WatchResponse& response);
  void OnEvents(Cmdb::OpId id, WatchResponse response);
  void CheckFuture(Cmdb::OpId id);
  void Lose(Cmdb::OpId id, uint64_t revision);
  void TellDisconnected();
  Watch* Find(Cmdb::OpId id);
  std::vector<Cmdb::OpId> Ids() const;
  // False if the watch is gone afterwards.
  bool Tell(Cmdb::OpId id, const WatchEvent& event);
  bool TellKind(Cmdb::OpId id, WatchEvent::Kind kind, uint64_t revision);

  Reactor& reactor_;
  AskRevision ask_revision_;
  std::weak_ptr<Client> client_;
  GrpcChannel::CallId stream_ = 0;  // 0: none is open
  uint64_t next_wire_id_ = 1;
  std::map<uint64_t, Cmdb::OpId> by_wire_id_;
  std::deque<uint64_t> unconfirmed_;  // created on the stream at hand, in order, and not answered yet
  std::map<Cmdb::OpId, Watch> watches_;
  std::minstd_rand random_{std::random_device()()};
};

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_LIB_CMDB_ETCD_WATCHES_H_
