// One connection to a PostgreSQL server: opened, prepared, pipelined, watched over and opened again.
#ifndef FASTCONTAINER_LIB_CMDB_POSTGRESQL_CONNECTION_H_
#define FASTCONTAINER_LIB_CMDB_POSTGRESQL_CONNECTION_H_

#include <libpq-fe.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "fastcontainer/reactor.h"
#include "lib/base/name_lookup.h"
#include "lib/cmdb/postgresql/options.h"
#include "lib/cmdb/postgresql/parameters.h"

namespace fastcontainer::postgresql {

struct Answer {
  enum class Kind : uint8_t {
    kRows,
    kRefused,  // the server's error: nothing was applied
    kLost,     // it was sent, and the connection ended before the answer
    kNotSent,
  } kind = Kind::kNotSent;
  Result result;      // of kRows
  std::string error;  // of the others
  std::string state;  // SQLSTATE of kRefused
};

// Belongs to the loop's thread. Statements are answered in their order; while there is no connection they
// wait for it, until a round of all hosts has failed. Handlers and the observer run on the loop, never inside
// a call, and not after Stop().
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Handler = absl::AnyInvocable<void(Answer)>;
  using RequestId = uint64_t;
  enum class Role : uint8_t {
    // Hears notifications. Each statement is sent at once, and is a transaction of its own.
    kReader,
    // What is sent while an answer is awaited is sent together after it, as one transaction: the commit,
    // which
    // waits for the disk, is shared. If one fails, all are tried again, each alone.
    kWriter,
  };

  struct Observer {
    // What earlier connections were asked has ended, whatever its outcome.
    absl::AnyInvocable<void()> ready;
    // After the handlers of what was lost with it; also when a round of all hosts has failed.
    absl::AnyInvocable<void()> lost;
    absl::AnyInvocable<void(std::string_view payload)> notified;
  };

  Connection(const Options& options, Role role, Reactor& reactor, Observer observer);
  ~Connection();

  void Start();
  void Stop();

  // `statement` is one of schema.h and lives for ever.
  RequestId Send(const char* statement, Parameters parameters, Handler handler);
  // True: it will not be sent, and its handler never runs.
  bool Withdraw(RequestId id);
  bool ready() const { return state_ == State::kReady; }

 private:
  enum class State : uint8_t { kWaiting, kLookingUp, kConnecting, kSettingUp, kReady, kStopped };
  enum class Step : uint8_t { kOrphan, kSession, kCreate, kVersion, kListen };
  struct Close {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  struct Request {
    RequestId id = 0;
    const char* statement = nullptr;
    Parameters parameters;
    Handler handler;
    Result result;
    std::string error;
    std::string state;
    bool fatal = false;
    bool begun = false;  // has had a result
    bool last = true;    // of its transaction
    bool alone = false;  // was in a transaction that failed
  };
  // A server process, told apart from later ones with the same number.
  struct ServerProcess {
    std::string id;
    std::string began;
  };

  // connection_session.cc: from nothing to a session that can be used.
  void Connect();
  void ConnectTo(Options::Keywords host);
  void Poll();
  void OnSetupReadable();
  void RunStep(Step step);
  void StepDone();
  void JudgeSession(const Result& result);
  void JudgeVersion(const Result& result);
  std::string StepScript(Step step) const;
  void BecomeReady();
  void Prepare();
  void Fail(std::string error);
  void ConnectLater();

  // connection.cc
  void OnReadyEvents(uint32_t events);
  void Write(Request request);
  void Sync();
  void WriteWaiting();
  void Flush();
  void Read();
  void TakeResults();
  void TakeResult(Result result);
  void EndStatement();
  void Finish();
  void Lose(std::string error);
  void SendAgain(std::deque<Request> group);
  void Answered(Request request, Answer::Kind kind, std::string error);
  void Abandon(std::deque<Request> requests, Answer::Kind kind, const std::string& error);
  void ArmSilenceTimer();
  void WatchSocket(uint32_t events);
  void UnwatchSocket();
  std::string LastError() const;

  template <typename Action>
  auto Guarded(Action action) {
    return [weak = weak_from_this(), action = std::move(action)](auto&&... arguments) mutable {
      const auto self = weak.lock();
      if (self != nullptr && self->state_ != State::kStopped) action(*self, arguments...);
    };
  }

  const Options options_;
  const Role role_;
  Reactor& reactor_;
  Observer observer_;
  State state_ = State::kWaiting;
  Step step_ = Step::kSession;
  std::unique_ptr<PGconn, Close> connection_;
  std::unique_ptr<NameLookup> lookup_;
  int socket_ = -1;  // a copy, since libpq closes its own at times of its choice
  uint32_t watched_ = 0;
  Result step_result_;
  Reactor::TimerId connect_timer_ = 0;  // the limit of an attempt, or the pause before the next
  Reactor::TimerId silence_timer_ = 0;
  Nanos heard_at_ = 0;
  uint64_t attempts_ = 0;  // in vain, since the last connection
  uint64_t random_;
  std::string last_error_;  // of the last round of all hosts; empty if one is reachable or nothing is known
  ServerProcess own_;
  ServerProcess orphan_;  // may still be working on what was lost
  RequestId next_id_ = 1;
  std::deque<Request> waiting_;
  std::deque<Request> sent_;
  size_t answering_ = 0;    // the one of sent_ whose results come next
  bool finishing_ = false;  // handlers are running, which may send more
};

}  // namespace fastcontainer::postgresql

#endif  // FASTCONTAINER_LIB_CMDB_POSTGRESQL_CONNECTION_H_
