// SIGHUP before a daemon can take it.

#ifndef MXTALLY_PROTO_SERVICE_MANAGER_SIGHUP_H_
#define MXTALLY_PROTO_SERVICE_MANAGER_SIGHUP_H_

namespace mxtally {

// Keeps a SIGHUP that comes before the daemon is ready, instead of dying of it.
// Called first of all, because the service manager, or a script that rotates
// logs, knows nothing of how far a start is.
void HoldSighup();
// For commands that are no daemon: one that has come, or comes, ends the process.
void ReleaseSighup();

}  // namespace mxtally

#endif  // MXTALLY_PROTO_SERVICE_MANAGER_SIGHUP_H_
