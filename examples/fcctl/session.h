// The asynchronous C API, waited for: each call here polls the engine's descriptor until its answer has come.
#ifndef FASTCONTAINER_EXAMPLES_FCCTL_SESSION_H_
#define FASTCONTAINER_EXAMPLES_FCCTL_SESSION_H_

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fastcontainer.h"

// Exit statuses, as --help lists them.
enum Exit : int {
  kExitOk = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitCmdb = 3,
  kExitNotFound = 4,
  kExitConflict = 5,
};

int ExitOf(int32_t code);

struct Record {
  std::string name;
  std::string key;
  std::string value;
  uint64_t revision = 0;
};

// A change of one record: to `value`, or its end if that is empty. Applies only if the revision is still this
// one.
struct Change {
  std::string key;
  std::string value;
  uint64_t revision = 0;
  uint64_t lease = 0;  // the record goes when it ends
};

struct Answer {
  int32_t code = FC_PENDING;
  std::string message;
};

struct Placed {
  std::string host;
  std::string from_host;
  uint64_t epoch = 0;
};

class Session {
 public:
  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { fc_engine_destroy(engine_); }

  Answer Open(const std::string& cmdb_url, const std::string& cluster_key_file);
  // Absent: FC_OK with revision 0.
  Answer Get(uint32_t kind, const std::string& name, Record* record);
  // All records of a kind, by name.
  Answer List(uint32_t kind, std::vector<Record>* records);
  // All records below a prefix, as of one revision; `name` stays empty. A revision that the store drops
  // meanwhile: from the beginning again.
  Answer ListPrefix(const std::string& prefix, std::vector<Record>* records, uint64_t* revision);
  // One transaction. FC_E_CONFLICT: nothing was changed.
  Answer Write(const std::vector<Change>& changes);
  Answer GrantLease(uint64_t ttl_ns, uint64_t* lease);
  Answer Place(const std::string& container, const std::string& host, const std::string& reason,
               Placed* placed);
  // The revision of the store.
  Answer RevisionOf(const std::string& prefix, uint64_t* revision);
  // Calls `take` for each event of a watch until it returns false (FC_OK), `milliseconds` have passed (-1:
  // never; FC_E_TIMEOUT), or SIGINT or SIGTERM comes (FC_E_SHUTDOWN).
  using TakeEvent = std::function<bool(const fc_result&)>;
  Answer Watch(const std::string& prefix, uint64_t after_revision, int64_t milliseconds, TakeEvent take);
  // Runs the engine for so long.
  void Pause(int milliseconds);

 private:
  using Take = std::function<void(const fc_result&)>;
  static void OnResult(void* user_data, const fc_result* result);
  Answer Wait(int32_t submitted, const fc_error& error);
  Answer ListPages(const std::string& prefix, const Take& take, uint64_t* revision);
  void Turn(int milliseconds);
  bool TurnUntilSignal(uint64_t end);

  fc_engine* engine_ = nullptr;
  Answer answer_;
  Take take_;
};

// The CMDB key of a record; empty, and *message, if there can be no record of that name.
std::string RecordKey(uint32_t kind, const std::string& name, std::string* message);
// Checks one record as the library will read it.
Answer Check(uint32_t kind, const std::string& name, const std::string& json);

int64_t MonotonicMs();

inline fc_str Str(const std::string& text) { return {text.data(), text.size()}; }
inline std::string Text(fc_str text) { return text.length == 0 ? "" : std::string(text.data, text.length); }

#endif  // FASTCONTAINER_EXAMPLES_FCCTL_SESSION_H_
