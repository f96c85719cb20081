// A connection to one of several etcd members, whichever works: failover, authentication, repetition.
#ifndef FASTCONTAINER_LIB_CMDB_ETCD_CLIENT_H_
#define FASTCONTAINER_LIB_CMDB_ETCD_CLIENT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/reactor.h"
#include "lib/cmdb/etcd/grpc_channel.h"
#include "lib/cmdb/etcd/url.h"

namespace fastcontainer::etcd {

// Belongs to the loop's thread. Callbacks run on the loop, never inside a call; each may destroy the client.
class Client : public std::enable_shared_from_this<Client> {
 public:
  using CallId = uint64_t;
  // The message of the response, or why there is none. `processed` is false if the server certainly has not
  // done what was asked.
  struct Result {
    absl::StatusOr<std::string> message;
    bool processed = true;
  };
  struct Call {
    std::string_view path;
    std::string message;
    Nanos deadline = 0;
    bool repeatable = false;   // by another member, if one has failed with it
    bool needs_leader = true;  // fails at once where the member has none
    absl::AnyInvocable<void(Result)> done;
  };
  struct Observer {
    absl::AnyInvocable<void()> on_up;    // streams may be opened
    absl::AnyInvocable<void()> on_down;  // no member can be reached; not told again before on_up
  };

  static std::shared_ptr<Client> Create(Reactor& reactor, Options options, std::shared_ptr<TlsContext> tls,
                                        Observer observer);
  ~Client() { Stop(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Nothing is called afterwards.
  void Stop();

  // `id` is the caller's, not in use.
  void Start(CallId id, Call call);
  bool Cancel(CallId id);

  bool up() const { return up_; }
  // Streams start while up() only, and end by their callback. What the server says of that is to be told to
  // OnStreamEnd().
  bool has_channel() const { return channel_ != nullptr; }
  GrpcChannel& channel() { return *channel_; }
  GrpcChannel::Metadata Metadata(bool needs_leader) const;
  // An endless call has ended though nobody cancelled it: the member is left, or the token renewed.
  void OnStreamEnd(const absl::Status& why);
  // A member has answered.
  void OnSuccess();

 private:
  struct Pending {
    Call call;
    GrpcChannel::CallId running = 0;  // 0: waits for a member
    int tries = 0;
    uint64_t token = 0;  // the generation it was sent with
    Nanos sent_at = 0;
    Reactor::TimerId timer = 0;
    std::string answer;
    bool answered = false;
  };

  Client(Reactor& reactor, Options options, std::shared_ptr<TlsContext> tls, Observer observer);
  void Connect();
  void OnReady();
  void SetUp();
  void Authenticate();
  void OnToken(const CallEnd& end, const std::string& answer);
  void Renew(uint64_t generation);
  void OnChannelClosed(const absl::Status& why);
  void Leave(const absl::Status& why);
  void FailWaiting(const absl::Status& why);
  void Run(CallId id, Pending& pending);
  void OnEnd(CallId id, const CallEnd& end);
  bool TryAgain(CallId id, Pending& pending, const CallEnd& end);
  void OnDeadline(CallId id);
  bool IsUseless(const Pending& late) const;
  void Finish(CallId id, Result result);
  Nanos Jitter(Nanos longest);

  Reactor& reactor_;
  const Options options_;
  const std::shared_ptr<TlsContext> tls_;
  Observer observer_;
  std::minstd_rand random_;
  size_t endpoint_;
  std::shared_ptr<GrpcChannel> channel_;
  bool up_ = false;
  bool stopped_ = false;
  bool told_down_ = false;
  Reactor::TimerId connect_timer_ = 0;
  size_t failures_ = 0;    // of members, one after the other, since one has answered
  bool answered_ = false;  // the member at hand, since it was connected
  Nanos last_answer_ = 0;
  absl::Status last_failure_;
  std::string token_;
  uint64_t token_generation_ = 0;
  std::map<CallId, Pending> calls_;
};

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_LIB_CMDB_ETCD_CLIENT_H_
