// fcctl get, list, delete: the records as they are.
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>

#include "examples/fcctl/commands.h"
#include "examples/fcctl/output.h"

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kKindNames[] = {"key", "class", "spec", "placement", "host", "scores"};
constexpr int kRounds = 5;

// A placement ends as a tombstone: its epochs must not fall if the container comes again.
std::string Tombstone(const std::string& value) {
  json placement = json::parse(value, nullptr, /*allow_exceptions=*/false);
  if (!placement.is_object()) return "";
  placement["state"] = "deleted";
  placement["reason"] = "fcctl delete";
  placement["by"] = "fcctl";
  return placement.dump();
}

bool IsTombstone(const std::string& value) {
  json placement = json::parse(value, nullptr, /*allow_exceptions=*/false);
  return placement.is_object() && placement.value("state", "placed") == "deleted";
}

// Something is placed on it: deleting it would strand that.
Answer CheckEmpty(Session& session, const std::string& host) {
  std::vector<Record> records;
  Answer answer = session.List(FC_RECORD_PLACEMENT, &records);
  for (const Record& record : records) {
    json placement = json::parse(record.value, nullptr, /*allow_exceptions=*/false);
    if (!placement.is_object() || placement.value("state", "placed") == "deleted") continue;
    for (const json& replica : placement.value("replicas", json::array())) {
      if (replica.value("host", "") == host) {
        return {FC_E_EXISTS, record.name + " is placed on it: fcctl drain " + host + " first"};
      }
    }
  }
  return answer;
}

Answer DeleteOnce(Session& session, uint32_t kind, const std::string& name) {
  Record record;
  Answer answer = session.Get(kind, name, &record);
  if (answer.code != FC_OK) return answer;
  if (record.revision == 0) return {FC_E_NOT_FOUND, "there is no such record"};
  if (kind == FC_RECORD_HOST) {
    if (answer = CheckEmpty(session, name); answer.code != FC_OK) return answer;
  }
  std::vector<Change> changes;
  Record placement = record;
  if (kind == FC_RECORD_SPEC) {
    answer = session.Get(FC_RECORD_PLACEMENT, name, &placement);
    if (answer.code != FC_OK) return answer;
  }
  if (kind == FC_RECORD_SPEC || kind == FC_RECORD_PLACEMENT) {
    if (kind == FC_RECORD_PLACEMENT && IsTombstone(placement.value)) return {FC_OK, ""};
    if (placement.revision != 0 && !IsTombstone(placement.value)) {
      changes.push_back({placement.key, Tombstone(placement.value), placement.revision});
    }
  }
  if (kind != FC_RECORD_PLACEMENT) changes.push_back({record.key, "", record.revision});
  return session.Write(changes);
}

}  // namespace

std::optional<uint32_t> KindOf(const std::string& name) {
  for (uint32_t kind = 0; kind < std::size(kKindNames); ++kind) {
    if (name == kKindNames[kind] || name == std::string(kKindNames[kind]) + "s") return kind;
  }
  return name == "classes" ? std::optional<uint32_t>(FC_RECORD_CLASS) : std::nullopt;
}

const char* KindName(uint32_t kind) { return kKindNames[kind]; }

int Report(const std::string& what, const Answer& answer) {
  fprintf(stderr, "fcctl: %s: %s\n", what.c_str(), answer.message.c_str());
  return ExitOf(answer.code);
}

int Get(Command command, uint32_t kind, const std::string& name) {
  Record record;
  Answer answer = command.session.Get(kind, name, &record);
  if (answer.code == FC_OK && record.revision == 0) answer = {FC_E_NOT_FOUND, "there is no such record"};
  if (answer.code != FC_OK) return Report(std::string(KindName(kind)) + " " + name, answer);
  ordered_json value = ordered_json::parse(record.value, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) value = record.value;
  if (command.json) {
    ordered_json row = {{"kind", KindName(kind)}, {"name", name}, {"revision", record.revision}};
    row["value"] = value;
    puts(row.dump().c_str());
  } else {
    puts(value.dump(2).c_str());
  }
  return kExitOk;
}

int List(Command command, uint32_t kind) {
  std::vector<Record> records;
  Answer answer = command.session.List(kind, &records);
  if (answer.code != FC_OK) return Report(std::string("list ") + KindName(kind), answer);
  Output output(command.json, {"name", "revision", "value"});
  for (const Record& record : records) {
    ordered_json value = ordered_json::parse(record.value, nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) value = record.value;
    ordered_json row = {{"name", record.name}, {"revision", record.revision}};
    row["value"] = value;
    output.Add(row);
  }
  output.Flush();
  return kExitOk;
}

int Delete(Command command, uint32_t kind, const std::string& name) {
  Answer answer;
  for (int round = 0; round < kRounds; ++round) {
    answer = DeleteOnce(command.session, kind, name);
    if (round > 0 && answer.code == FC_E_NOT_FOUND) answer = {FC_OK, ""};  // an unknown outcome was a success
    if (answer.code != FC_E_CONFLICT && answer.code != FC_E_UNKNOWN_OUTCOME) break;
  }
  if (answer.code != FC_OK) return Report(std::string(KindName(kind)) + " " + name, answer);
  Output output(command.json, {"kind", "name", "result"});
  output.Add({{"kind", KindName(kind)}, {"name", name}, {"result", "deleted"}});
  output.Flush();
  return kExitOk;
}
