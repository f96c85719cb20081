// fcctl scores: what a policy elsewhere says of the hosts.
#include <algorithm>
#include <limits>
#include <utility>

#include "examples/common/strict_json.h"
#include "examples/fcctl/commands.h"
#include "examples/fcctl/output.h"

namespace {

using nlohmann::json;

constexpr int kRounds = 5;

std::string Title(const std::string& name) { return "scores " + name; }

json Field(const json& table, const char* name) {
  return table.is_object() && table.contains(name) ? table[name] : json();
}

int ListTables(Command command) {
  std::vector<Record> records;
  const Answer answer = command.session.List(FC_RECORD_SCORES, &records);
  if (answer.code != FC_OK) return Report("scores", answer);
  Output output(command.json, {"class", "hosts", "valid_s", "by", "at_ms"});
  for (const Record& record : records) {
    const json table = json::parse(record.value, nullptr, /*allow_exceptions=*/false);
    output.Add({{"class", record.name},
                {"hosts", Field(table, "hosts").size()},
                {"valid_s", Field(table, "valid_s").is_number() ? Field(table, "valid_s") : json(30)},
                {"by", Field(table, "by")},
                {"at_ms", Field(table, "at_ms")}});
  }
  output.Flush();
  return kExitOk;
}

int Show(Command command, const std::string& name) {
  Record record;
  Answer answer = command.session.Get(FC_RECORD_SCORES, name, &record);
  if (answer.code == FC_OK && record.revision == 0) answer = {FC_E_NOT_FOUND, "there is no such table"};
  if (answer.code == FC_OK) answer = Check(FC_RECORD_SCORES, name, record.value);
  if (answer.code != FC_OK) return Report(Title(name), answer);
  const json table = json::parse(record.value, nullptr, /*allow_exceptions=*/false);
  std::vector<std::pair<std::string, json>> hosts;
  for (const auto& [host, score] : table["hosts"].items()) hosts.emplace_back(host, score);
  std::stable_sort(hosts.begin(), hosts.end(), [](const auto& a, const auto& b) {
    const auto value = [](const json& score) {
      return score.is_number() ? score.get<double>() : -std::numeric_limits<double>::infinity();
    };
    return value(a.second) > value(b.second);
  });
  Output output(command.json, {"host", "score"});
  for (const auto& [host, score] : hosts) {
    // In a table of words, what null means.
    const bool never = score.is_null() && !command.json;
    output.Add({{"host", host}, {"score", never ? json("never") : score}});
  }
  output.Flush();
  return kExitOk;
}

int Put(Command command, const std::string& name, const std::string& path) {
  std::string error;
  auto file = examples::ReadStrict(path, &error);
  if (!file) return Report(path, {FC_E_INVALID, error});
  if (file->is_object() && !file->contains("v")) (*file)["v"] = 1;
  std::string message;
  if (RecordKey(FC_RECORD_SCORES, name, &message).empty())
    return Report(Title(name), {FC_E_INVALID, message});
  Answer answer = Check(FC_RECORD_SCORES, name, file->dump());
  const char* result = "failed";
  for (int round = 0; round < kRounds && answer.code == FC_OK; ++round) {
    Record record;
    answer = command.session.Get(FC_RECORD_SCORES, name, &record);
    if (answer.code != FC_OK) break;
    // Written also if it is the same: it makes the table new.
    result = record.revision == 0 ? "created" : "updated";
    answer = command.session.Write({{record.key, file->dump(), record.revision}});
    if (answer.code != FC_E_CONFLICT && answer.code != FC_E_UNKNOWN_OUTCOME) break;
    if (round + 1 < kRounds) answer = {FC_OK, ""};
  }
  if (answer.code != FC_OK) return Report(Title(name), answer);
  Output output(command.json, {"class", "result"});
  output.Add({{"class", name}, {"result", result}});
  output.Flush();
  return kExitOk;
}

}  // namespace

int Scores(Command command, const std::vector<std::string>& words) {
  if (words.empty() || words[0] == "list") return ListTables(command);
  if (words[0] == "show") return Show(command, words[1]);
  if (words[0] == "put") return Put(command, words[1], words[2]);
  return Delete(command, FC_RECORD_SCORES, words[1]);
}
