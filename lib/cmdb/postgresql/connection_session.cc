// How a connection comes about: host after host, with pauses, until a session has been set up.
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/cmdb/postgresql/connection.h"
#include "lib/cmdb/postgresql/schema.h"

namespace fastcontainer::postgresql {
namespace {

constexpr Nanos kAttempt = 10 * kSecond;
constexpr Nanos kFirstPause = 20 * kMillisecond;
constexpr Nanos kLastPause = kSecond;
constexpr int kOrphanPatienceMs = 2'000;

// SplitMix64 (Steele, Lea, Flood 2014).
uint64_t NextRandom(uint64_t* state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// What libpq would look up itself, and wait: neither an address nor the folder of a socket.
bool IsHostName(const std::string& host) {
  return !host.empty() && host[0] != '/' && host[0] != '@' && !Address::Parse(host).ok();
}

}  // namespace

void Connection::Connect() {
  connect_timer_ = reactor_.After(kAttempt, Guarded([](Connection& self) {
                                    self.connect_timer_ = 0;
                                    self.Fail("the server does not answer");
                                  }));
  const Options::Keywords& host = options_.hosts[attempts_ % options_.hosts.size()];
  const auto name = host.find("host");
  if (name == host.end() || host.count("hostaddr") > 0 || !IsHostName(name->second)) return ConnectTo(host);
  state_ = State::kLookingUp;
  lookup_ = std::make_unique<NameLookup>(
      name->second, reactor_,
      Guarded([host](Connection& self, const absl::StatusOr<std::vector<Address>>& addresses) {
        if (self.state_ != State::kLookingUp) return;
        if (!addresses.ok()) return self.Fail(std::string(addresses.status().message()));
        // One list entry for each address: the name is kept for certificates and the password file.
        Options::Keywords found = host;
        found["hostaddr"] = absl::StrJoin(*addresses, ",", [](std::string* out, const Address& address) {
          out->append(address.ToString());
        });
        found["host"] = absl::StrJoin(std::vector<std::string>(addresses->size(), host.at("host")), ",");
        self.ConnectTo(std::move(found));
      }));
}

void Connection::ConnectTo(Options::Keywords host) {
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : host) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  state_ = State::kConnecting;
  connection_.reset(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (connection_ == nullptr) return Fail("out of memory");
  if (PQstatus(connection_.get()) == CONNECTION_BAD) return Fail(LastError());
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
  WatchSocket(EPOLLOUT);
}

void Connection::Poll() {
  // libpq may close its socket and go on with another one.
  UnwatchSocket();
  switch (PQconnectPoll(connection_.get())) {
    case PGRES_POLLING_READING:
      return WatchSocket(EPOLLIN);
    case PGRES_POLLING_WRITING:
      return WatchSocket(EPOLLOUT);
    case PGRES_POLLING_OK:
      break;
    default:
      return Fail(LastError());
  }
  if (PQserverVersion(connection_.get()) < kOldestServer) {
    return Fail(absl::StrCat("the server is PostgreSQL ", PQserverVersion(connection_.get()) / 10'000,
                             "; needed is ", kOldestServer / 10'000, " or later"));
  }
  state_ = State::kSettingUp;
  PQsetnonblocking(connection_.get(), 1);
  RunStep(orphan_.id.empty() ? Step::kSession : Step::kOrphan);
}

std::string Connection::StepScript(Step step) const {
  switch (step) {
    case Step::kOrphan:
      // What an earlier connection was asked must not be applied after this one has been asked whether it
      // was.
      return absl::StrCat("SELECT pg_terminate_backend(pid, ", kOrphanPatienceMs,
                          ") FROM pg_stat_activity WHERE pid = ", orphan_.id,
                          " AND extract(epoch FROM backend_start) = ", orphan_.began);
    case Step::kSession:
      return SessionScript(options_.schema);
    case Step::kCreate:
      return CreateScript(options_.schema);
    case Step::kVersion:
      return VersionScript(options_.schema);
    case Step::kListen:
      break;
  }
  return ListenScript(options_.schema);
}

void Connection::RunStep(Step step) {
  step_ = step;
  step_result_.reset();
  if (PQsendQuery(connection_.get(), StepScript(step).c_str()) != 1) return Fail(LastError());
  // A script may be more than the socket takes at once.
  const int left = PQflush(connection_.get());
  if (left < 0) return Fail(LastError());
  WatchSocket(left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void Connection::OnSetupReadable() {
  const bool alive = PQconsumeInput(connection_.get()) == 1;
  const int left = PQflush(connection_.get());
  while (PQisBusy(connection_.get()) == 0) {
    Result result(PQgetResult(connection_.get()));
    if (result == nullptr) return alive || step_result_ != nullptr ? StepDone() : Fail(LastError());
    const ExecStatusType status = PQresultStatus(result.get());
    const bool good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    const bool failed = step_result_ != nullptr && PQresultStatus(step_result_.get()) == PGRES_FATAL_ERROR;
    if (!failed && (!good || PQntuples(result.get()) > 0 || step_result_ == nullptr))
      step_result_ = std::move(result);
  }
  if (!alive || left < 0) return Fail(LastError());
  WatchSocket(left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void Connection::StepDone() {
  const Result result = std::move(step_result_);
  if (result == nullptr || PQresultStatus(result.get()) == PGRES_FATAL_ERROR) {
    const char* const why =
        result == nullptr ? nullptr : PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY);
    return Fail(absl::StrCat("the session cannot be set up in schema \"", options_.schema,
                             "\": ", why == nullptr ? LastError() : why));
  }
  switch (step_) {
    case Step::kOrphan:
      if (PQntuples(result.get()) > 0 && std::string_view(PQgetvalue(result.get(), 0, 0)) != "t")
        return Fail("the server process of the lost connection does not end");
      orphan_ = {};
      return RunStep(Step::kSession);
    case Step::kSession:
      return JudgeSession(result);
    case Step::kCreate:
      return RunStep(Step::kVersion);
    case Step::kVersion:
      return JudgeVersion(result);
    case Step::kListen:
      return BecomeReady();
  }
}

void Connection::JudgeSession(const Result& result) {
  if (PQntuples(result.get()) != 1 || PQnfields(result.get()) != 3)
    return Fail("the server told nothing of itself");
  own_ = {PQgetvalue(result.get(), 0, 0), PQgetvalue(result.get(), 0, 1)};
  const bool exists = std::string_view(PQgetvalue(result.get(), 0, 2)) == "t";
  RunStep(exists ? Step::kVersion : Step::kCreate);
}

void Connection::JudgeVersion(const Result& result) {
  const std::string version = PQntuples(result.get()) == 1 ? PQgetvalue(result.get(), 0, 0) : "none";
  if (version == std::to_string(kSchemaVersion))
    return role_ == Role::kReader ? RunStep(Step::kListen) : BecomeReady();
  Fail(absl::StrCat("schema \"", options_.schema, "\" is of version ", version,
                    ", and this driver knows version ", kSchemaVersion));
}

void Connection::BecomeReady() {
  if (PQenterPipelineMode(connection_.get()) != 1) return Fail(LastError());
  reactor_.CancelTimer(connect_timer_);
  connect_timer_ = 0;
  state_ = State::kReady;
  last_error_.clear();
  Prepare();
  WriteWaiting();
  observer_.ready();
}

// Its answer is awaited behind it by all that is sent next, and not by whoever sends it.
void Connection::Prepare() {
  for (const auto& [name, sql] : Statements(options_.schema))
    PQsendPrepare(connection_.get(), name, sql.c_str(), 0, nullptr);
  Request request;
  request.id = next_id_++;
  request.handler = Guarded([](Connection& self, const Answer& answer) {
    if (answer.kind == Answer::Kind::kRows) {
      self.attempts_ = 0;
    } else if (answer.kind == Answer::Kind::kRefused) {
      ++self.attempts_;
      self.Lose(absl::StrCat("the session cannot be set up: ", answer.error));
    }
  });
  heard_at_ = reactor_.Now();
  sent_.push_back(std::move(request));
  Sync();
  Flush();
}

void Connection::Fail(std::string error) {
  const std::shared_ptr<Connection> self = shared_from_this();
  UnwatchSocket();
  lookup_.reset();
  connection_.reset();
  step_result_.reset();
  state_ = State::kWaiting;
  ++attempts_;
  ConnectLater();
  if (attempts_ < options_.hosts.size()) return;
  last_error_ = std::move(error);
  Abandon(std::exchange(waiting_, {}), Answer::Kind::kNotSent, last_error_);
  if (state_ != State::kStopped) observer_.lost();
}

void Connection::ConnectLater() {
  reactor_.CancelTimer(connect_timer_);
  const uint64_t round = attempts_ / options_.hosts.size();
  Nanos pause = std::min(kFirstPause << std::min<uint64_t>(round, 10), kLastPause);
  if (attempts_ % options_.hosts.size() != 0) pause = kFirstPause;
  pause = pause / 2 + static_cast<Nanos>(NextRandom(&random_) % static_cast<uint64_t>(pause / 2));
  connect_timer_ = reactor_.After(pause, Guarded([](Connection& self) { self.Connect(); }));
}

}  // namespace fastcontainer::postgresql
