#include "examples/fcctl/session.h"

#include <poll.h>
#include <time.h>

namespace {

uint64_t Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

constexpr uint64_t kWriteDeadline = 10'000'000'000;

}  // namespace

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

Answer Session::List(uint32_t kind, std::vector<Record>* records) {
  char prefix[1024];
  if (fc_record_key(kind, {nullptr, 0}, prefix, sizeof prefix) < 0) return {FC_E_INVALID, "kind"};
  std::string after;
  uint64_t revision = 0;
  for (;;) {
    std::string next;
    answer_ = {};
    take_ = [&](const fc_result& result) {
      if (result.code != FC_OK) return;
      for (uint32_t i = 0; i < result.record_count; ++i) {
        char name[1024];
        uint32_t found = 0;
        const fc_record& record = result.records[i];
        if (fc_record_name(record.key, &found, name, sizeof name) < 0 || found != kind) continue;
        records->push_back({name, Text(record.key), Text(record.value), record.revision});
      }
      next = Text(result.next);
      revision = result.revision;
    };
    fc_error error = FC_ERROR_INIT;
    Answer answer = Wait(fc_cmdb_list(engine_, {prefix, std::char_traits<char>::length(prefix)}, Str(after),
                                      revision, 0, nullptr, OnResult, this),
                         error);
    if (answer.code != FC_OK || next.empty()) return answer;
    after = next;
  }
}

Answer Session::Write(const std::vector<Change>& changes) {
  std::vector<fc_compare> compares;
  std::vector<fc_mutation> mutations;
  for (const Change& change : changes) {
    compares.push_back({Str(change.key), change.revision});
    uint32_t kind = change.value.empty() ? FC_DELETE : FC_PUT;
    mutations.push_back({kind, 0, Str(change.key), Str(change.value), 0});
  }
  answer_ = {};
  take_ = nullptr;
  fc_error error = FC_ERROR_INIT;
  auto count = static_cast<uint32_t>(changes.size());
  return Wait(fc_cmdb_txn(engine_, compares.data(), count, mutations.data(), count, Now() + kWriteDeadline,
                          nullptr, OnResult, this, &error),
              error);
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
