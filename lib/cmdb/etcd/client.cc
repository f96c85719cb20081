#include "lib/cmdb/etcd/client.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/etcd/messages.h"

namespace fastcontainer::etcd {
namespace {

constexpr Nanos kConnectTimeout = 2 * kSecond;
// When a member fails all its clients come to the others: not in the same instant.
constexpr Nanos kFailoverSpread = 50 * kMillisecond;
constexpr Nanos kFirstBackoff = 100 * kMillisecond;
constexpr Nanos kLongestBackoff = 2 * kSecond;
constexpr Nanos kSilence = 2 * kSecond;

// Read anew each time: passwords are changed.
absl::StatusOr<std::string> ReadPassword(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.is_open() || file.bad())
    return absl::UnavailableError(absl::StrCat("etcd: the password file ", path, " cannot be read"));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

// What the server says before it proposes anything to the others.
bool CertainlyNotDone(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnimplemented:
      return true;
    case absl::StatusCode::kUnavailable:
      return status.message() == "etcdserver: no leader" || status.message() == "etcdserver: not capable";
    default:
      return false;
  }
}

// The token has expired, or was given before the users were changed.
bool IsTokenRefused(const absl::Status& status) {
  return absl::IsUnauthenticated(status) || status.message() == "etcdserver: revision of auth store is old";
}

}  // namespace

Client::Client(Reactor& reactor, Options options, std::shared_ptr<TlsContext> tls, Observer observer)
    : reactor_(reactor),
      options_(std::move(options)),
      tls_(std::move(tls)),
      observer_(std::move(observer)),
      random_(std::random_device()()),
      // Clients spread over the members from the beginning.
      endpoint_(random_() % options_.endpoints.size()) {}

std::shared_ptr<Client> Client::Create(Reactor& reactor, Options options, std::shared_ptr<TlsContext> tls,
                                       Observer observer) {
  std::shared_ptr<Client> client(
      new Client(reactor, std::move(options), std::move(tls), std::move(observer)));
  client->Connect();
  return client;
}

void Client::Stop() {
  stopped_ = true;
  up_ = false;
  if (channel_ != nullptr) channel_->Close();
  reactor_.CancelTimer(std::exchange(connect_timer_, 0));
  for (const auto& [id, pending] : calls_) reactor_.CancelTimer(pending.timer);
  calls_.clear();
}

Nanos Client::Jitter(Nanos longest) {
  return std::uniform_int_distribution<Nanos>(longest / 2, longest)(random_);
}

void Client::Connect() {
  const std::weak_ptr<Client> weak = weak_from_this();
  GrpcChannel::Observer observer;
  observer.on_ready = [weak] {
    if (const auto held = weak.lock()) held->OnReady();
  };
  observer.on_draining = [weak] {
    if (const auto held = weak.lock()) held->up_ = false;
  };
  observer.on_closed = [weak](const absl::Status& why) {
    if (const auto held = weak.lock()) held->OnChannelClosed(why);
  };
  channel_ =
      GrpcChannel::Open(reactor_, options_.endpoints[endpoint_], tls_, kConnectTimeout, std::move(observer));
}

void Client::OnReady() {
  if (stopped_) return;
  if (!options_.user.empty()) return Authenticate();
  SetUp();
}

void Client::SetUp() {
  up_ = true;
  told_down_ = false;
  const auto self = shared_from_this();
  std::vector<CallId> waiting;
  for (const auto& [id, pending] : calls_)
    if (pending.running == 0) waiting.push_back(id);
  for (const CallId id : waiting)
    if (const auto found = calls_.find(id); found != calls_.end()) Run(id, found->second);
  observer_.on_up();
}

void Client::Authenticate() {
  const absl::StatusOr<std::string> password = ReadPassword(options_.password_file);
  if (!password.ok()) return Leave(password.status());
  const std::weak_ptr<Client> weak = weak_from_this();
  const auto answer = std::make_shared<std::string>();
  GrpcChannel::Call call;
  call.path = "/etcdserverpb.Auth/Authenticate";
  call.message = EncodeAuthenticate(options_.user, *password);
  call.deadline = reactor_.Now() + kConnectTimeout;
  call.on_message = [answer](std::string_view message) { *answer = std::string(message); };
  call.on_end = [weak, answer](const CallEnd& end) {
    if (const auto held = weak.lock()) held->OnToken(end, *answer);
  };
  channel_->Start(std::move(call));
}

void Client::OnToken(const CallEnd& end, const std::string& answer) {
  if (stopped_ || channel_ == nullptr) return;
  if (absl::IsFailedPrecondition(end.status)) {  // authentication is not enabled
    token_.clear();
    return SetUp();
  }
  if (!end.status.ok()) {
    return Leave(absl::Status(end.status.code(), absl::StrCat("etcd: user \"", options_.user,
                                                              "\": ", std::string(end.status.message()))));
  }
  absl::StatusOr<std::string> token = DecodeAuthenticate(answer);
  if (!token.ok()) return Leave(token.status());
  token_ = *std::move(token);
  ++token_generation_;
  SetUp();
}

// Calls wait until the new token has come.
void Client::Renew(uint64_t generation) {
  if (!up_ || generation != token_generation_) return;
  up_ = false;
  Authenticate();
}

GrpcChannel::Metadata Client::Metadata(bool needs_leader) const {
  GrpcChannel::Metadata metadata;
  if (!token_.empty()) metadata.emplace_back("token", token_);
  if (needs_leader) metadata.emplace_back("hasleader", "true");
  return metadata;
}

void Client::OnSuccess() {
  failures_ = 0;
  answered_ = true;
}

void Client::OnStreamEnd(const absl::Status& why) {
  if (!up_ || stopped_) return;
  if (!options_.user.empty() && IsTokenRefused(why)) return Renew(token_generation_);
  Leave(why);
}

// The connection works, the member does not.
void Client::Leave(const absl::Status& why) {
  up_ = false;
  if (channel_ != nullptr) channel_->Abort(why);
}

void Client::OnChannelClosed(const absl::Status& why) {
  if (stopped_) return;
  up_ = false;
  // Kept alive by its own callback, which ends the calls after this.
  channel_.reset();
  last_failure_ = why;
  // A member that has answered is tried again, in its turn, before anybody is told that none can be reached.
  if (!std::exchange(answered_, false)) ++failures_;
  endpoint_ = (endpoint_ + 1) % options_.endpoints.size();
  Nanos pause = Jitter(kFailoverSpread);
  const size_t rounds = failures_ / options_.endpoints.size();
  if (rounds > 0 && failures_ % options_.endpoints.size() == 0)
    pause = Jitter(std::min(kLongestBackoff, kFirstBackoff << std::min<size_t>(rounds, 5)));
  connect_timer_ = reactor_.After(pause, [weak = weak_from_this()] {
    const auto held = weak.lock();
    if (held == nullptr || held->stopped_) return;
    held->connect_timer_ = 0;
    held->Connect();
  });
  if (rounds > 0) FailWaiting(why);
}

// Every member has been tried since one has answered.
void Client::FailWaiting(const absl::Status& why) {
  const auto self = shared_from_this();
  reactor_.Defer([weak = weak_from_this()] {
    const auto held = weak.lock();
    if (held == nullptr || held->stopped_ || held->up_ || std::exchange(held->told_down_, true)) return;
    held->observer_.on_down();
  });
  std::vector<CallId> waiting;
  for (const auto& [id, pending] : calls_)
    if (pending.running == 0) waiting.push_back(id);
  for (const CallId id : waiting) Finish(id, {why, false});
}

void Client::Start(CallId id, Call call) {
  Pending& pending = calls_[id];
  pending.call = std::move(call);
  pending.timer = reactor_.At(pending.call.deadline, [weak = weak_from_this(), id] {
    if (const auto held = weak.lock()) held->OnDeadline(id);
  });
  if (up_) return Run(id, pending);
  if (failures_ < options_.endpoints.size()) return;
  // Nobody can be reached, and the next attempt is on its own time.
  reactor_.Defer([weak = weak_from_this(), id] {
    const auto held = weak.lock();
    if (held == nullptr || held->up_) return;
    const auto found = held->calls_.find(id);
    if (found != held->calls_.end() && found->second.running == 0)
      held->Finish(id, {held->last_failure_, false});
  });
}

void Client::Run(CallId id, Pending& pending) {
  ++pending.tries;
  pending.token = token_generation_;
  pending.sent_at = reactor_.Now();
  pending.answered = false;
  const std::weak_ptr<Client> weak = weak_from_this();
  GrpcChannel::Call call;
  call.path = pending.call.path;
  call.metadata = Metadata(pending.call.needs_leader);
  call.message = pending.call.message;
  call.deadline = pending.call.deadline;
  call.on_message = [weak, id](std::string_view message) {
    const auto held = weak.lock();
    if (held == nullptr) return;
    const auto found = held->calls_.find(id);
    if (found == held->calls_.end()) return;
    found->second.answer = std::string(message);
    found->second.answered = true;
  };
  call.on_end = [weak, id](const CallEnd& end) {
    if (const auto held = weak.lock()) held->OnEnd(id, end);
  };
  pending.running = channel_->Start(std::move(call));
}

void Client::OnEnd(CallId id, const CallEnd& end) {
  const auto found = calls_.find(id);
  if (stopped_ || found == calls_.end()) return;
  Pending& pending = found->second;
  pending.running = 0;
  if (end.status.ok() && pending.answered) {
    last_answer_ = reactor_.Now();
    if (pending.call.needs_leader) OnSuccess();
    return Finish(id, {std::move(pending.answer), true});
  }
  CallEnd how = end;
  if (how.status.ok()) how.status = absl::InternalError("etcd: an answer without a message");
  how.processed = how.processed && !CertainlyNotDone(how.status);
  if (TryAgain(id, pending, how)) return;
  Finish(id, {how.status, how.processed});
}

bool Client::TryAgain(CallId id, Pending& pending, const CallEnd& end) {
  if (!pending.call.repeatable && end.processed) return false;
  if (pending.tries > static_cast<int>(options_.endpoints.size()) + 1) return false;
  if (!options_.user.empty() && IsTokenRefused(end.status)) {
    Renew(pending.token);
    if (up_) Run(id, pending);  // somebody else has renewed it
    return true;
  }
  if (!absl::IsUnavailable(end.status)) return false;
  if (up_ && end.status.message() == "etcdserver: leader changed") {
    Run(id, pending);
    return true;
  }
  // The member told it, or was left: the next one may do better.
  if (up_) Leave(end.status);
  if (failures_ < options_.endpoints.size()) return true;
  return false;
}

// Others need not wait as long for a member that has said nothing at all, or that is there but gets nothing
// done while another might.
bool Client::IsUseless(const Pending& late) const {
  const Nanos silent_since = std::max(late.sent_at, channel_->last_received());
  const Nanos idle_since = std::max(late.sent_at, last_answer_);
  const Nanos now = reactor_.Now();
  return now - silent_since > kSilence || (options_.endpoints.size() > 1 && now - idle_since > kSilence);
}

void Client::OnDeadline(CallId id) {
  const auto found = calls_.find(id);
  if (stopped_ || found == calls_.end()) return;
  Pending& pending = found->second;
  pending.timer = 0;
  const bool sent = pending.running != 0;
  if (sent && channel_ != nullptr) {
    channel_->Cancel(pending.running);
    if (up_ && IsUseless(pending)) Leave(absl::UnavailableError("etcd: the member does not answer"));
  }
  Finish(id, {sent ? absl::DeadlineExceededError("etcd: no answer before the deadline")
                   : absl::UnavailableError(absl::StrCat("etcd: no member could be reached in time: ",
                                                         std::string(last_failure_.message()))),
              sent});
}

void Client::Finish(CallId id, Result result) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  reactor_.CancelTimer(found->second.timer);
  Call call = std::move(found->second.call);
  calls_.erase(found);
  call.done(std::move(result));
}

bool Client::Cancel(CallId id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return false;
  reactor_.CancelTimer(found->second.timer);
  if (found->second.running != 0 && channel_ != nullptr) channel_->Cancel(found->second.running);
  calls_.erase(found);
  return true;
}

}  // namespace fastcontainer::etcd
