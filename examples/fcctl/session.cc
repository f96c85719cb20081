#include "examples/fcctl/session.h"

#include <poll.h>
#include <signal.h>
#include <time.h>

namespace {

uint64_t Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

constexpr uint64_t kWriteDeadline = 10'000'000'000;
constexpr int kListRounds = 5;

}  // namespace

int64_t MonotonicMs() { return static_cast<int64_t>(Now() / 1000000u); }

int ExitOf(int32_t code) {
  switch (code) {
    case FC_OK:
      return kExitOk;
    case FC_E_INVALID:
    case FC_E_UNSUPPORTED:
      return kExitUsage;
    case FC_E_CMDB:
    case FC_E_UNKNOWN_OUTCOME:
    case FC_E_TIMEOUT:
      return kExitCmdb;
    case FC_E_NOT_FOUND:
    case FC_E_UNKNOWN_KEY:
      return kExitNotFound;
    case FC_E_CONFLICT:
      return kExitConflict;
    default:
      return kExitFailed;
  }
}

std::string RecordKey(uint32_t kind, const std::string& name, std::string* message) {
  char buffer[1024];
  if (name.empty() || fc_record_key(kind, Str(name), buffer, sizeof buffer) < 0) {
    *message = "\"" + name + "\" cannot be a name";
    return "";
  }
  return buffer;
}

Answer Check(uint32_t kind, const std::string& name, const std::string& json) {
  fc_error error = FC_ERROR_INIT;
  int32_t code = fc_record_check(kind, Str(name), Str(json), &error);
  return {code, code == FC_OK ? "" : error.message};
}

Answer Session::Open(const std::string& cmdb_url, const std::string& cluster_key_file) {
  fc_engine_options options;
  fc_engine_options_init(&options);
  static const std::string kName = "fcctl";
  options.name = Str(kName);
  options.cmdb_url = Str(cmdb_url);
  options.cluster_key_file = Str(cluster_key_file);
  fc_error error = FC_ERROR_INIT;
  int32_t code = fc_engine_create(&engine_, &options, &error);
  return {code, error.message};
}

void Session::Turn(int milliseconds) {
  pollfd fd = {fc_engine_fd(engine_), POLLIN, 0};
  if (poll(&fd, 1, milliseconds) > 0) fc_engine_process(engine_, 0);
}

// False: SIGINT or SIGTERM. Both are blocked but for the wait, so that none comes between look and sleep.
bool Session::TurnUntilSignal(uint64_t end) {
  static volatile sig_atomic_t signalled = 0;
  sigset_t stop, before;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  sigprocmask(SIG_BLOCK, &stop, &before);
  sigset_t open = before;
  sigdelset(&open, SIGINT);
  sigdelset(&open, SIGTERM);
  struct sigaction action {};
  action.sa_handler = [](int) { signalled = 1; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  const uint64_t now = Now();
  const uint64_t left = end > now ? end - now : 0;
  const timespec wait = {static_cast<time_t>(left / 1000000000u), static_cast<long>(left % 1000000000u)};
  pollfd fd = {fc_engine_fd(engine_), POLLIN, 0};
  if (ppoll(&fd, 1, end == UINT64_MAX ? nullptr : &wait, &open) > 0) fc_engine_process(engine_, 0);
  return signalled == 0;
}

void Session::Pause(int milliseconds) {
  uint64_t end = Now() + static_cast<uint64_t>(milliseconds) * 1000000u;
  for (uint64_t now = Now(); now < end; now = Now()) Turn(static_cast<int>((end - now) / 1000000u) + 1);
}

void Session::OnResult(void* user_data, const fc_result* result) {
  auto* session = static_cast<Session*>(user_data);
  session->answer_ = {result->code, Text(result->message)};
  if (session->take_) session->take_(*result);
}

Answer Session::Wait(int32_t submitted, const fc_error& error) {
  if (submitted < 0) return {submitted, error.message[0] != 0 ? error.message : fc_code_name(submitted)};
  while (answer_.code == FC_PENDING) Turn(-1);
  if (answer_.code != FC_OK && answer_.message.empty()) answer_.message = fc_code_name(answer_.code);
  return answer_;
}

Answer Session::Get(uint32_t kind, const std::string& name, Record* record) {
  std::string message;
  *record = {name, RecordKey(kind, name, &message), "", 0};
  if (record->key.empty()) return {FC_E_INVALID, message};
  answer_ = {};
  take_ = [record](const fc_result& result) {
    if (result.code != FC_OK || result.record_count != 1) return;
    record->value = Text(result.records[0].value);
    record->revision = result.records[0].revision;
  };
  fc_error error = FC_ERROR_INIT;
  return Wait(fc_cmdb_get(engine_, Str(record->key), 1, nullptr, OnResult, this), error);
}

// `take` sees each page.
Answer Session::ListPages(const std::string& prefix, const Take& take, uint64_t* revision) {
  std::string after;
  *revision = 0;
  for (;;) {
    std::string next;
    answer_ = {};
    take_ = [&](const fc_result& result) {
      if (result.code != FC_OK) return;
      take(result);
      next = Text(result.next);
      *revision = result.revision;
    };
    fc_error error = FC_ERROR_INIT;
    Answer answer =
        Wait(fc_cmdb_list(engine_, Str(prefix), Str(after), *revision, 0, nullptr, OnResult, this), error);
    if (answer.code != FC_OK || next.empty()) return answer;
    after = next;
  }
}

Answer Session::List(uint32_t kind, std::vector<Record>* records) {
  char prefix[1024];
  if (fc_record_key(kind, {nullptr, 0}, prefix, sizeof prefix) < 0) return {FC_E_INVALID, "kind"};
  uint64_t revision = 0;
  return ListPages(
      prefix,
      [&](const fc_result& result) {
        for (uint32_t i = 0; i < result.record_count; ++i) {
          char name[1024];
          uint32_t found = 0;
          const fc_record& record = result.records[i];
          if (fc_record_name(record.key, &found, name, sizeof name) < 0 || found != kind) continue;
          records->push_back({name, Text(record.key), Text(record.value), record.revision});
        }
      },
      &revision);
}

Answer Session::ListPrefix(const std::string& prefix, std::vector<Record>* records, uint64_t* revision) {
  Answer answer;
  for (int round = 0; round < kListRounds; ++round) {
    records->clear();
    answer = ListPages(
        prefix,
        [&](const fc_result& result) {
          for (uint32_t i = 0; i < result.record_count; ++i) {
            const fc_record& record = result.records[i];
            records->push_back({"", Text(record.key), Text(record.value), record.revision});
          }
        },
        revision);
    if (answer.code != FC_E_CONFLICT) break;
  }
  return answer;
}

Answer Session::RevisionOf(const std::string& prefix, uint64_t* revision) {
  answer_ = {};
  take_ = [revision](const fc_result& result) { *revision = result.revision; };
  fc_error error = FC_ERROR_INIT;
  return Wait(fc_cmdb_list(engine_, Str(prefix), {nullptr, 0}, 0, 1, nullptr, OnResult, this), error);
}

Answer Session::Watch(const std::string& prefix, uint64_t after_revision, int64_t milliseconds,
                      TakeEvent take) {
  const uint64_t end = milliseconds < 0 ? UINT64_MAX : Now() + static_cast<uint64_t>(milliseconds) * 1000000u;
  bool more = true;
  answer_ = {};
  take_ = [&](const fc_result& result) {
    if (result.code == FC_OK && more) more = take(result);
  };
  fc_op op = 0;
  const int32_t submitted = fc_cmdb_watch(engine_, Str(prefix), after_revision, &op, OnResult, this);
  if (submitted < 0) return {submitted, fc_code_name(submitted)};
  Answer answer{FC_PENDING, ""};
  while (answer.code == FC_PENDING) {
    answer_.code = FC_PENDING;
    const uint64_t now = Now();
    if (now >= end) {
      answer = {FC_E_TIMEOUT, "no more time"};
    } else if (!TurnUntilSignal(end)) {
      answer = {FC_E_SHUTDOWN, "interrupted"};
    } else if (!more) {
      answer = {FC_OK, ""};
    } else if (answer_.code < 0) {
      answer = {answer_.code, answer_.message.empty() ? fc_code_name(answer_.code) : answer_.message};
    }
  }
  fc_cancel(engine_, op);
  take_ = nullptr;
  return answer;
}

Answer Session::Write(const std::vector<Change>& changes) {
  std::vector<fc_compare> compares;
  std::vector<fc_mutation> mutations;
  for (const Change& change : changes) {
    compares.push_back({Str(change.key), change.revision});
    uint32_t kind = change.value.empty() ? FC_DELETE : FC_PUT;
    mutations.push_back({kind, 0, Str(change.key), Str(change.value), change.lease});
  }
  answer_ = {};
  take_ = nullptr;
  fc_error error = FC_ERROR_INIT;
  auto count = static_cast<uint32_t>(changes.size());
  return Wait(fc_cmdb_txn(engine_, compares.data(), count, mutations.data(), count, Now() + kWriteDeadline,
                          nullptr, OnResult, this, &error),
              error);
}

Answer Session::GrantLease(uint64_t ttl_ns, uint64_t* lease) {
  answer_ = {};
  take_ = [lease](const fc_result& result) { *lease = result.lease; };
  fc_error error = FC_ERROR_INIT;
  return Wait(fc_cmdb_lease_grant(engine_, ttl_ns, nullptr, OnResult, this), error);
}

Answer Session::Place(const std::string& container, const std::string& host, const std::string& reason,
                      Placed* placed) {
  struct Waiting {
    Session* session;
    Placed* placed;
  } waiting{this, placed};
  answer_ = {};
  auto callback = [](void* user_data, int32_t code, const fc_placed* where, const fc_error* error) {
    auto* to = static_cast<Waiting*>(user_data);
    to->session->answer_ = {code, error != nullptr ? error->message : ""};
    if (code == FC_OK) *to->placed = {Text(where->host), Text(where->from_host), where->epoch};
  };
  fc_error error = FC_ERROR_INIT;
  return Wait(fc_place(engine_, Str(container), Str(host), Str(reason), nullptr, callback, &waiting), error);
}
