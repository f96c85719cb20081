// fcctl apply: the whole file is checked before anything of it is written.
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "examples/common/strict_json.h"
#include "examples/fcctl/commands.h"
#include "examples/fcctl/output.h"

namespace {

using nlohmann::json;

constexpr int kRounds = 5;  // of a compare-and-set that others keep winning

struct Wanted {
  uint32_t kind;
  std::string name;
  json value;
};

// Written in this order, so that nothing ever names what is not there yet.
struct Section {
  const char* field;
  uint32_t kind;
};
constexpr Section kSections[] = {{"hosts", FC_RECORD_HOST},
                                 {"classes", FC_RECORD_CLASS},
                                 {"specs", FC_RECORD_SPEC},
                                 {"keys", FC_RECORD_KEY}};

bool Collect(const json& file, std::vector<Wanted>* wanted, std::string* error) {
  examples::Fields fields(file, "", error);
  for (const Section& section : kSections) {
    const json* records = fields.Object(section.field);
    if (records == nullptr) continue;
    for (const auto& [name, value] : records->items()) {
      json record = value;
      if (section.kind == FC_RECORD_KEY && record.is_string()) record = json{{"container", value}};
      if (!record.is_object()) {
        fields.Fail(std::string(section.field) + "." + name, "must be an object");
        return false;
      }
      if (section.kind != FC_RECORD_KEY && !record.contains("v")) record["v"] = 1;
      wanted->push_back({section.kind, name, std::move(record)});
    }
  }
  return fields.Finish();
}

// The record as it will be: a host keeps what its dispatcher wrote (incarnation, port, capacity) and its
// admin state, unless the file has these fields; its incarnation never comes from the file.
json Merge(const Wanted& wanted, const json& present) {
  if (wanted.kind != FC_RECORD_HOST) return wanted.value;
  json merged = present.is_object() ? present : json::object();
  for (const auto& [field, value] : wanted.value.items()) {
    if (field != "incarnation") merged[field] = value;
  }
  if (!merged.contains("incarnation")) merged["incarnation"] = 0;
  return merged;
}

std::string Title(const Wanted& wanted) { return std::string(KindName(wanted.kind)) + " " + wanted.name; }

class Application {
 public:
  Application(Command command, std::vector<Wanted> wanted) : command_(command), wanted_(std::move(wanted)) {}

  int Run() {
    for (const Wanted& wanted : wanted_) {
      if (int status = CheckOne(wanted); status != kExitOk) return status;
    }
    Output output(command_.json, {"kind", "name", "result"});
    int status = kExitOk;
    for (const Wanted& wanted : wanted_) {
      const char* result = "failed";
      status = Write(wanted, &result);
      output.Add({{"kind", KindName(wanted.kind)}, {"name", wanted.name}, {"result", result}});
      if (status != kExitOk) break;
    }
    output.Flush();
    return status;
  }

 private:
  int CheckOne(const Wanted& wanted) {
    std::string message;
    if (RecordKey(wanted.kind, wanted.name, &message).empty()) {
      return Report(Title(wanted), {FC_E_INVALID, message});
    }
    json present;
    if (wanted.kind == FC_RECORD_HOST) {  // a part of a host's record is enough if the rest is there
      Record record;
      Answer read = command_.session.Get(wanted.kind, wanted.name, &record);
      if (read.code != FC_OK) return Report(Title(wanted), read);
      present = json::parse(record.value, nullptr, /*allow_exceptions=*/false);
    }
    Answer answer = Check(wanted.kind, wanted.name, Merge(wanted, present).dump());
    if (answer.code != FC_OK) return Report(Title(wanted), answer);
    if (wanted.kind == FC_RECORD_SPEC && wanted.value.contains("class")) return CheckClassOf(wanted);
    if (wanted.kind == FC_RECORD_KEY) {
      return CheckExists(wanted, "container", FC_RECORD_SPEC, wanted.value["container"].get<std::string>());
    }
    return kExitOk;
  }

  int CheckClassOf(const Wanted& spec) {
    std::string name = spec.value["class"].get<std::string>();
    json merged;
    if (int status = CheckExists(spec, "class", FC_RECORD_CLASS, name, &merged); status != kExitOk)
      return status;
    if (spec.value.contains("ready")) merged.erase("ready");  // either way to be ready replaces the class's
    merged.update(spec.value, /*merge_objects=*/true);
    Answer answer = Check(FC_RECORD_SPEC, spec.name, merged.dump());
    return answer.code == FC_OK ? kExitOk : Report(Title(spec) + " with class " + name, answer);
  }

  // What `field` names must be in the file or in the CMDB.
  int CheckExists(const Wanted& by, const char* field, uint32_t kind, const std::string& name,
                  json* value = nullptr) {
    for (const Wanted& other : wanted_) {
      if (other.kind != kind || other.name != name) continue;
      if (value != nullptr) *value = other.value;
      return kExitOk;
    }
    Record record;
    Answer answer = command_.session.Get(kind, name, &record);
    if (answer.code != FC_OK) return Report(Title(by), answer);
    if (record.revision == 0) {
      std::string what = std::string(field) + ": there is no " + KindName(kind) + " \"" + name + "\"";
      return Report(Title(by), {FC_E_INVALID, what});
    }
    if (value != nullptr) *value = json::parse(record.value, nullptr, /*allow_exceptions=*/false);
    return kExitOk;
  }

  int Write(const Wanted& wanted, const char** result) {
    Answer answer;
    for (int round = 0; round < kRounds; ++round) {
      Record record;
      answer = command_.session.Get(wanted.kind, wanted.name, &record);
      if (answer.code != FC_OK) break;
      json present = json::parse(record.value, nullptr, /*allow_exceptions=*/false);
      json merged = Merge(wanted, present);
      if (record.revision != 0 && merged == present) {
        if (round == 0) *result = "unchanged";
        return kExitOk;
      }
      *result = record.revision == 0 ? "created" : "updated";
      answer = command_.session.Write({{record.key, merged.dump(), record.revision}});
      if (answer.code == FC_OK) return kExitOk;
      // Lost the compare-and-set, or nobody knows: the next round reads what is there now.
      if (answer.code != FC_E_CONFLICT && answer.code != FC_E_UNKNOWN_OUTCOME) break;
    }
    *result = "failed";
    return Report(Title(wanted), answer);
  }

  Command command_;
  std::vector<Wanted> wanted_;
};

}  // namespace

int Apply(Command command, const std::string& path) {
  std::string error;
  auto file = examples::ReadStrict(path, &error);
  std::vector<Wanted> wanted;
  if (!file || !Collect(*file, &wanted, &error)) {
    fprintf(stderr, "fcctl: %s%s\n", file ? (path + ": ").c_str() : "", error.c_str());
    return kExitUsage;
  }
  return Application(command, std::move(wanted)).Run();
}
