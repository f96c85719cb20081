// fcctl place, drain, undrain, ps: where containers are, and moving them.
#include <time.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "examples/fcctl/commands.h"
#include "examples/fcctl/output.h"

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kRounds = 5;

struct Located {
  std::string container;
  uint32_t replica = 0;
  std::string host;
  uint64_t epoch = 0;
  std::string reason;
  std::string by;
  int64_t at_ms = 0;
};

std::string IsoTime(int64_t at_ms) {
  time_t seconds = at_ms / 1000;
  tm utc{};
  gmtime_r(&seconds, &utc);
  char text[40];
  size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(at_ms % 1000));
  return text;
}

Answer ListPlaced(Session& session, std::vector<Located>* located) {
  std::vector<Record> records;
  Answer answer = session.List(FC_RECORD_PLACEMENT, &records);
  for (const Record& record : records) {
    json placement = json::parse(record.value, nullptr, /*allow_exceptions=*/false);
    if (!placement.is_object() || placement.value("state", "placed") == "deleted") continue;
    for (const json& replica : placement.value("replicas", json::array())) {
      located->push_back({record.name, replica.value("i", 0u), replica.value("host", ""),
                          replica.value("epoch", uint64_t{0}), placement.value("reason", ""),
                          placement.value("by", ""), placement.value("at_ms", int64_t{0})});
    }
  }
  return answer;
}

int SetAdmin(Command command, const std::string& host, const char* state) {
  Answer answer;
  for (int round = 0; round < kRounds; ++round) {
    Record record;
    answer = command.session.Get(FC_RECORD_HOST, host, &record);
    if (answer.code == FC_OK && record.revision == 0) answer = {FC_E_NOT_FOUND, "there is no such host"};
    if (answer.code != FC_OK) break;
    json value = json::parse(record.value, nullptr, /*allow_exceptions=*/false);
    if (!value.is_object()) return Report("host " + host, {FC_E_INVALID, "its record is not JSON"});
    if (value.value("admin", "up") == state) return kExitOk;
    value["admin"] = state;
    answer = command.session.Write({{record.key, value.dump(), record.revision}});
    if (answer.code == FC_OK) return kExitOk;
    if (answer.code != FC_E_CONFLICT && answer.code != FC_E_UNKNOWN_OUTCOME) break;
  }
  return Report("host " + host, answer);
}

Answer MoveAway(Command command, const Located& from, Placed* placed) {
  Answer answer;
  for (int attempt = 0; attempt < kRounds; ++attempt) {
    if (attempt > 0) command.session.Pause(50 << attempt);
    answer = command.session.Place(from.container, "", "drain", placed);
    if (answer.code == FC_OK || answer.code == FC_E_NOT_FOUND) break;
  }
  return answer;
}

}  // namespace

int Place(Command command, const std::string& container, const std::string& host) {
  Placed placed;
  Answer answer = command.session.Place(container, host, "fcctl", &placed);
  if (answer.code != FC_OK) return Report("place " + container, answer);
  Output output(command.json, {"container", "host", "from", "epoch"});
  output.Add(
      {{"container", container}, {"host", placed.host}, {"from", placed.from_host}, {"epoch", placed.epoch}});
  output.Flush();
  return kExitOk;
}

int Drain(Command command, const std::string& host) {
  if (int status = SetAdmin(command, host, "drain"); status != kExitOk) return status;
  int status = kExitOk;
  // Routers that have not seen the new admin state may place something here meanwhile: look again.
  for (int round = 0; round < kRounds; ++round) {
    std::vector<Located> located;
    Answer answer = ListPlaced(command.session, &located);
    if (answer.code != FC_OK) return Report("list placement", answer);
    std::erase_if(located, [&](const Located& entry) { return entry.host != host; });
    if (located.empty()) return kExitOk;
    status = kExitOk;
    for (size_t i = 0; i < located.size(); ++i) {
      Placed placed;
      answer = MoveAway(command, located[i], &placed);
      ordered_json row = {{"container", located[i].container}, {"from", host}};
      row["host"] = placed.host;
      row["epoch"] = placed.epoch;
      row["result"] = answer.code == FC_OK ? "moved" : answer.message;
      if (command.json) {
        puts(row.dump().c_str());
      } else {
        printf("%zu/%zu %s %s -> %s %s\n", i + 1, located.size(), located[i].container.c_str(), host.c_str(),
               placed.host.empty() ? "?" : placed.host.c_str(), row["result"].get<std::string>().c_str());
      }
      fflush(stdout);
      if (answer.code != FC_OK) status = Report("place " + located[i].container, answer);
    }
  }
  return status;
}

int Undrain(Command command, const std::string& host) { return SetAdmin(command, host, "up"); }

int Ps(Command command) {
  std::vector<Located> located;
  Answer answer = ListPlaced(command.session, &located);
  if (answer.code != FC_OK) return Report("list placement", answer);
  Output output(command.json, {"container", "replica", "host", "epoch", "reason", "by", "at"});
  for (const Located& entry : located) {
    output.Add({{"container", entry.container},
                {"replica", entry.replica},
                {"host", entry.host},
                {"epoch", entry.epoch},
                {"reason", entry.reason},
                {"by", entry.by},
                {"at", IsoTime(entry.at_ms)}});
  }
  output.Flush();
  return kExitOk;
}
