#include "agent/source/file_watcher.h"
