# The agent on Microsoft's small runtime image. The RUN lines are the commands that the tests run too.
FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /source
COPY . .
RUN dotnet publish src/Tailrace.Agent -c Release -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0
COPY --from=build /app /usr/lib/tailrace
# Everything the agent remembers: mount a volume here, or a restart reads its files again.
VOLUME /var/lib/tailrace
# The image's user cannot read most logs of a host: run with --user or --group-add as the logs need it.
USER $APP_UID
ENTRYPOINT ["/usr/lib/tailrace/tailrace"]
CMD ["run", "/etc/tailrace"]
