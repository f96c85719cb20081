#include "lib/cmdb/postgresql/connection.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace fastcontainer::postgresql {
namespace {

// Longer than statement_timeout, so that a server that works says so in time.
constexpr Nanos kSilence = 5 * kSecond;
// A record of TLS may have more than libpq takes from it at a time, and the descriptor does not tell.
constexpr int kTlsReads = 3;
constexpr size_t kGroup = 64;

std::string OneLine(std::string_view text) {
  return absl::StrReplaceAll(std::string(absl::StripSuffix(std::string(text), "\n")),
                             {{"\n", "; "}, {"\t", ""}});
}

bool IsFatal(const PGresult* result) {
  const char* const severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity == nullptr || std::string_view(severity) != "ERROR";
}

}  // namespace

Connection::Connection(const Options& options, Role role, Reactor& reactor, Observer observer)
    : options_(options),
      role_(role),
      reactor_(reactor),
      observer_(std::move(observer)),
      random_(static_cast<uint64_t>(reactor.WallNow()) ^ static_cast<uint64_t>(getpid())) {}

Connection::~Connection() { Stop(); }

void Connection::Start() {
  reactor_.Defer(Guarded([](Connection& self) { self.Connect(); }));
}

void Connection::Stop() {
  state_ = State::kStopped;
  reactor_.CancelTimer(connect_timer_);
  reactor_.CancelTimer(silence_timer_);
  lookup_.reset();
  UnwatchSocket();
  connection_.reset();
  waiting_.clear();
  sent_.clear();
}

Connection::RequestId Connection::Send(const char* statement, Parameters parameters, Handler handler) {
  Request request;
  request.id = next_id_++;
  request.statement = statement;
  request.parameters = std::move(parameters);
  request.handler = std::move(handler);
  const RequestId id = request.id;
  waiting_.push_back(std::move(request));
  if (state_ == State::kReady) WriteWaiting();
  if (state_ == State::kWaiting && !last_error_.empty()) {
    reactor_.Defer(Guarded([](Connection& self) {
      if (self.state_ != State::kWaiting || self.last_error_.empty()) return;
      self.Abandon(std::exchange(self.waiting_, {}), Answer::Kind::kNotSent, self.last_error_);
    }));
  }
  return id;
}

bool Connection::Withdraw(RequestId id) {
  return std::erase_if(waiting_, [id](const Request& request) { return request.id == id; }) > 0;
}

void Connection::Write(Request request) {
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const std::string& value : request.parameters.values()) {
    values.push_back(value.data());
    lengths.push_back(static_cast<int>(value.size()));
  }
  const std::vector<int> formats(values.size(), 1);
  // A failure shows as a lost connection when its results are read; what is in doubt counts as sent.
  PQsendQueryPrepared(connection_.get(), request.statement, static_cast<int>(values.size()), values.data(),
                      lengths.data(), formats.data(), 1);
  if (role_ == Role::kReader) request.parameters = Parameters();
  if (sent_.empty()) heard_at_ = reactor_.Now();
  sent_.push_back(std::move(request));
}

void Connection::Sync() {
  sent_.back().last = true;
  PQpipelineSync(connection_.get());
  if (silence_timer_ == 0) ArmSilenceTimer();
}

void Connection::WriteWaiting() {
  if (waiting_.empty() || finishing_ || (role_ == Role::kWriter && !sent_.empty())) return;
  const size_t most = role_ == Role::kWriter ? kGroup : 1;
  do {
    for (size_t written = 0; written < most && !waiting_.empty(); ++written) {
      if (written > 0 && waiting_.front().alone) break;
      Write(std::move(waiting_.front()));
      waiting_.pop_front();
      sent_.back().last = false;
      if (sent_.back().alone) break;
    }
    Sync();
  } while (role_ == Role::kReader && !waiting_.empty());
  Flush();
}

void Connection::Flush() {
  const int left = PQflush(connection_.get());
  if (left < 0 || PQstatus(connection_.get()) == CONNECTION_BAD) {
    // Not here: this may be inside a call.
    reactor_.Defer(Guarded([](Connection& self) {
      if (self.state_ == State::kReady) self.Read();
    }));
    return;
  }
  WatchSocket(left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void Connection::OnReadyEvents(uint32_t events) {
  if ((events & EPOLLOUT) != 0) Flush();
  if ((events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) Read();
}

void Connection::Read() {
  const std::shared_ptr<Connection> self = shared_from_this();
  const int reads = PQsslInUse(connection_.get()) != 0 ? kTlsReads : 1;
  bool alive = true;
  for (int i = 0; i < reads && alive && state_ == State::kReady; ++i) {
    alive = PQconsumeInput(connection_.get()) == 1;
    TakeResults();
  }
  if (state_ == State::kReady) WriteWaiting();
  while (state_ == State::kReady) {
    const std::unique_ptr<PGnotify, decltype(&PQfreemem)> notice(PQnotifies(connection_.get()), &PQfreemem);
    if (notice == nullptr) break;
    observer_.notified(notice->extra);
  }
  if (state_ != State::kReady) return;
  if (!alive || PQstatus(connection_.get()) == CONNECTION_BAD) return Lose(LastError());
  const int left = PQflush(connection_.get());
  if (left >= 0) WatchSocket(left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void Connection::TakeResults() {
  int ends = 0;
  while (state_ == State::kReady && !sent_.empty() && ends < 2 && PQisBusy(connection_.get()) == 0) {
    Result result(PQgetResult(connection_.get()));
    // One after each statement; two say that there is nothing more.
    ends = result == nullptr ? ends + 1 : 0;
    if (result != nullptr)
      TakeResult(std::move(result));
    else
      EndStatement();
  }
}

void Connection::EndStatement() {
  if (answering_ < sent_.size() && sent_[answering_].begun && !sent_[answering_].last) ++answering_;
}

// The transaction commits at the end of its part of the pipeline, so only that makes an answer good.
void Connection::TakeResult(Result result) {
  heard_at_ = reactor_.Now();
  Request& request = sent_[answering_];
  request.begun = true;
  switch (PQresultStatus(result.get())) {
    case PGRES_PIPELINE_SYNC:
      return Finish();
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
      request.result = std::move(result);
      return;
    case PGRES_PIPELINE_ABORTED:
      return;
    default:
      break;
  }
  const char* const state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
  const char* const primary = PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY);
  request.error = OneLine(primary == nullptr ? PQresultErrorMessage(result.get()) : primary);
  request.state = state == nullptr ? "" : state;
  request.fatal = request.fatal || IsFatal(result.get());
}

void Connection::Finish() {
  const std::shared_ptr<Connection> self = shared_from_this();
  std::deque<Request> group;
  bool last = false;
  while (!last && !sent_.empty()) {
    last = sent_.front().last;
    group.push_back(std::move(sent_.front()));
    sent_.pop_front();
  }
  answering_ = 0;
  const auto failed =
      std::find_if(group.begin(), group.end(), [](const Request& one) { return !one.error.empty(); });
  const bool fatal = failed != group.end() && failed->fatal;
  const std::string error = failed == group.end() ? "" : failed->error;
  const std::string state = failed == group.end() ? "" : failed->state;
  if (!error.empty() && !fatal && group.size() > 1) return SendAgain(std::move(group));
  finishing_ = true;
  for (Request& request : group) {
    if (state_ != State::kReady && state_ != State::kWaiting) break;
    Answer::Kind kind = Answer::Kind::kRows;
    if (!error.empty()) kind = fatal ? Answer::Kind::kLost : Answer::Kind::kRefused;
    if (error.empty() && request.result == nullptr) kind = Answer::Kind::kLost;
    request.state = state;
    Answered(std::move(request), kind, error);
  }
  finishing_ = false;
}

// Nothing of it was applied, and it cannot be told which are to blame.
void Connection::SendAgain(std::deque<Request> group) {
  for (auto request = group.rbegin(); request != group.rend(); ++request) {
    request->alone = true;
    request->begun = false;
    request->result.reset();
    request->error.clear();
    request->state.clear();
    waiting_.push_front(std::move(*request));
  }
}

void Connection::Answered(Request request, Answer::Kind kind, std::string error) {
  Answer answer;
  answer.kind = kind;
  if (kind == Answer::Kind::kRows) answer.result = std::move(request.result);
  if (kind == Answer::Kind::kRefused) answer.state = std::move(request.state);
  if (kind != Answer::Kind::kRows) answer.error = absl::StrCat("postgresql: ", error);
  request.handler(std::move(answer));
}

void Connection::Abandon(std::deque<Request> requests, Answer::Kind kind, const std::string& error) {
  const std::shared_ptr<Connection> self = shared_from_this();
  const std::string why = error;
  for (Request& request : requests) {
    if (state_ == State::kStopped) return;
    Answered(std::move(request), kind, why);
  }
}

void Connection::Lose(std::string error) {
  const std::shared_ptr<Connection> self = shared_from_this();
  // What the server said last tells more than that it is gone.
  for (const Request& request : sent_)
    if (!request.error.empty()) error = request.error;
  if (!sent_.empty()) orphan_ = own_;
  UnwatchSocket();
  connection_.reset();
  reactor_.CancelTimer(silence_timer_);
  silence_timer_ = 0;
  state_ = State::kWaiting;
  answering_ = 0;
  Abandon(std::exchange(sent_, {}), Answer::Kind::kLost, error);
  if (state_ == State::kStopped) return;
  ConnectLater();
  observer_.lost();
}

void Connection::ArmSilenceTimer() {
  silence_timer_ = reactor_.At(heard_at_ + kSilence, Guarded([](Connection& self) {
                                 self.silence_timer_ = 0;
                                 if (self.sent_.empty() || self.state_ != State::kReady) return;
                                 if (self.heard_at_ + kSilence > self.reactor_.Now())
                                   return self.ArmSilenceTimer();
                                 self.Lose("the server does not answer");
                               }));
}

void Connection::WatchSocket(uint32_t events) {
  if (watched_ == events) return;
  if (socket_ < 0) socket_ = fcntl(PQsocket(connection_.get()), F_DUPFD_CLOEXEC, 0);
  watched_ = events;
  const absl::Status status =
      reactor_.Watch(socket_, events, Guarded([](Connection& self, uint32_t happened) {
                       switch (self.state_) {
                         case State::kConnecting:
                           return self.Poll();
                         case State::kSettingUp:
                           return self.OnSetupReadable();
                         default:
                           return self.OnReadyEvents(happened);
                       }
                     }));
  if (status.ok()) return;
  const std::string error(status.message());
  reactor_.Defer(Guarded([error](Connection& self) {
    if (self.state_ == State::kReady) return self.Lose(error);
    if (self.state_ == State::kConnecting || self.state_ == State::kSettingUp) self.Fail(error);
  }));
}

void Connection::UnwatchSocket() {
  watched_ = 0;
  if (socket_ < 0) return;
  reactor_.Unwatch(socket_);
  close(socket_);
  socket_ = -1;
}

std::string Connection::LastError() const {
  const std::string error = OneLine(PQerrorMessage(connection_.get()));
  return error.empty() ? "the connection was lost" : error;
}

}  // namespace fastcontainer::postgresql
