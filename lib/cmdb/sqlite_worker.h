// The thread that may wait for the disk and for other processes' locks, with the connection it writes by.
#ifndef FASTCONTAINER_LIB_CMDB_SQLITE_WORKER_H_
#define FASTCONTAINER_LIB_CMDB_SQLITE_WORKER_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "lib/cmdb/sqlite_database.h"

namespace fastcontainer {

// Its functions belong to the loop's thread; the jobs run on the worker's, one after the other. Transactions
// that wait one behind the other are written together: one fsync for all.
class SqliteWorker {
 public:
  using Job = absl::AnyInvocable<void(SqliteDatabase&)>;
  using JobId = uint64_t;

  explicit SqliteWorker(std::unique_ptr<SqliteDatabase> database);
  // Returns when the job that runs has ended, if one does; those that wait are dropped.
  ~SqliteWorker();
  SqliteWorker(const SqliteWorker&) = delete;
  SqliteWorker& operator=(const SqliteWorker&) = delete;

  JobId Submit(Job job);
  // `done` runs on the worker's thread.
  JobId SubmitTxn(std::vector<Compare> compares, std::vector<Mutation> mutations,
                  absl::AnyInvocable<void(TxnResult)> done);
  enum class Withdrawn : uint8_t {
    kNeverRuns,  // it had not begun, and is dropped
    kRuns,       // it is under way, and waits for no lock any more
    kHasRun,
  };
  Withdrawn Withdraw(JobId id);

 private:
  struct Entry {
    JobId id = 0;
    Job job;  // or, without one, a transaction:
    SqliteDatabase::Transaction transaction;
    absl::AnyInvocable<void(TxnResult)> done;
  };

  JobId Enqueue(Entry entry);
  void Run();
  // With the mutex held; they let go of it meanwhile.
  void RunJob(std::unique_lock<std::mutex>& lock);
  void RunGroup(std::unique_lock<std::mutex>& lock);
  bool TxnIsNext() const { return !queue_.empty() && !queue_.front().job; }

  const std::unique_ptr<SqliteDatabase> database_;
  std::atomic<bool> give_up_ = false;  // of the job that runs: stop waiting for a lock
  std::mutex mutex_;                   // guards all below
  std::condition_variable changed_;
  std::deque<Entry> queue_;
  JobId next_id_ = 1;
  std::set<JobId> running_;
  bool beginning_ = false;  // the worker waits for the lock, for the transactions at the queue's head
  bool stop_ = false;
  std::thread thread_;  // the last member: it starts when all others exist
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_SQLITE_WORKER_H_
