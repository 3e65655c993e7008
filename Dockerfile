# One image for every process; docker-compose.yml says which command each one runs.
FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements.txt ./
RUN pip install --require-hashes --no-deps -r requirements.txt
COPY . .
RUN useradd --system --create-home --home-dir /home/metaads metaads \
 # Static files are hashed and compressed once, at build time; the keys that this step generates are thrown away.
 && PRODUCTION=true PUBLIC_URL=https://build.invalid python manage.py collectstatic --noinput -v 0 \
 && rm -rf var/keys && chown -R metaads var
USER metaads
EXPOSE 8000
CMD ["python", "-m", "uvicorn", "config.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-access-log", "--ws-per-message-deflate", "false"]
