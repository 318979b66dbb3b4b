#include "server/ingest/ingest_service.h"
