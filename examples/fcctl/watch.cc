// fcctl watch: changes as they come, one a line.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "examples/fcctl/archive.h"
#include "examples/fcctl/commands.h"

namespace {

using nlohmann::ordered_json;

const char* EventName(uint32_t kind) {
  switch (kind) {
    case FC_WATCH_PUT:
      return "PUT";
    case FC_WATCH_DELETE:
      return "DELETE";
    case FC_WATCH_RESYNC:
      return "RESYNC";
    case FC_WATCH_DISCONNECTED:
      return "DISCONNECTED";
    case FC_WATCH_CONNECTED:
      return "CONNECTED";
    default:
      return "";
  }
}

std::string WallTime() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  char text[40];
  const size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(now.tv_nsec / 1'000'000));
  return text;
}

ordered_json RowOf(const fc_result& result) {
  ordered_json row = {{"at", WallTime()}, {"event", EventName(result.watch_kind)}};
  if (result.record_count == 0) return row;
  const fc_record& record = result.records[0];
  const std::string key = Text(record.key);
  uint32_t kind = 0;
  std::string name;
  row["revision"] = record.revision;
  row["key"] = key;
  if (ParseKey(key, &kind, &name) && kind != kRestoredKind) {
    row["kind"] = KindName(kind);
    row["name"] = name;
  }
  if (result.watch_kind != FC_WATCH_PUT) return row;
  ordered_json value = ordered_json::parse(Text(record.value), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) value = Text(record.value);
  row["value"] = value;
  return row;
}

void Print(const ordered_json& row, bool as_json) {
  if (as_json) {
    puts(row.dump(-1, ' ', false, ordered_json::error_handler_t::replace).c_str());
  } else {
    std::string line = row["at"].get<std::string>() + " " + row["event"].get<std::string>();
    const auto add = [&line](const std::string& text) { line.append(1, ' ').append(text); };
    if (row.contains("kind")) {
      add(row["kind"].get<std::string>());
      add(row["name"].get<std::string>());
    } else if (row.contains("key")) {
      add(row["key"].get<std::string>());
    }
    if (row.contains("revision")) {
      add("revision");
      add(row["revision"].dump());
    }
    if (row.contains("value")) add(row["value"].dump(-1, ' ', false, ordered_json::error_handler_t::replace));
    puts(line.c_str());
  }
  fflush(stdout);
}

}  // namespace

int Watch(Command command, const WatchArguments& arguments) {
  uint64_t seen = 0;
  bool resync = true;
  Answer answer;
  const int64_t end = arguments.timeout_ms < 0 ? -1 : MonotonicMs() + arguments.timeout_ms;
  const auto left = [&] { return end < 0 ? -1 : std::max<int64_t>(end - MonotonicMs(), 0); };
  while (resync) {
    resync = false;
    uint64_t revision = 0;
    answer = command.session.RevisionOf(arguments.prefix, &revision);
    if (answer.code != FC_OK) break;
    answer = command.session.Watch(arguments.prefix, revision, left(), [&](const fc_result& result) {
      if (EventName(result.watch_kind)[0] == '\0') return true;
      Print(RowOf(result), command.json);
      resync = result.watch_kind == FC_WATCH_RESYNC;
      if (result.watch_kind == FC_WATCH_PUT || result.watch_kind == FC_WATCH_DELETE) ++seen;
      return !resync && (arguments.count == 0 || seen < arguments.count);
    });
  }
  if (answer.code == FC_OK || answer.code == FC_E_SHUTDOWN) return kExitOk;
  if (answer.code != FC_E_TIMEOUT) return Report("watch " + arguments.prefix, answer);
  if (arguments.count == 0) return kExitOk;
  fprintf(stderr, "fcctl: watch %s: %llu of %llu changes came in time\n", arguments.prefix.c_str(),
          static_cast<unsigned long long>(seen), static_cast<unsigned long long>(arguments.count));
  return kExitFailed;
}
